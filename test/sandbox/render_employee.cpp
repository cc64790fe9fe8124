#include "render.h"

#include <array>

namespace sandbox {

namespace {

constexpr std::array<std::string_view, 64> first_names{
    "Anna",   "Björn",   "Chloé",     "Dmitri",   "Elif",      "Farid", "Greta",     "Hugo",    "Inès",   "Jonas",
    "Kaya",   "Łukasz",  "Mia",       "Noah",     "Oluwaseun", "Yuki",  "Aisha",     "Bastian", "Carmen", "Daniel",
    "Eva",    "Felipe",  "Giulia",    "Henrik",   "Ingrid",    "Jakub", "Katarzyna", "Liam",    "Marta",  "Niamh",
    "Olivia", "Pablo",   "Quentin",   "Ragnhild", "Stefan",    "Tomás", "Ursula",    "Víctor",  "Wiebke", "Xenia",
    "Yusuf",  "Zoë",     "Ahmet",     "Beatriz",  "Claire",    "Deniz", "Émile",     "Fatima",  "Gábor",  "Hannah",
    "Ivan",   "Johanna", "Kofi",      "Lucía",    "Mateo",     "Nora",  "Oskar",     "Priya",   "Rafał",  "Søren",
    "Tereza", "Uwe",     "Valentina", "Zeynep"};
constexpr std::array<std::string_view, 128> last_names{
    "Schmidt", "O'Neill",  "García",   "Novák",     "Yılmaz",   "Haddad",     "Jensen",    "Rossi",     "Dubois",
    "Müller",  "Demir",    "Kowalski", "Okafor",    "Tanaka",   "Fischer",    "Smith",     "Andersson", "Bakker",
    "Castro",  "Djurić",   "Eriksen",  "Fontaine",  "Gruber",   "Horváth",    "Ivanov",    "Johansson", "Kaya",
    "Lehmann", "Moreau",   "Nguyen",   "Oliveira",  "Petrov",   "Quinn",      "Ricci",     "Szabó",     "Takahashi",
    "Ueda",    "Vogel",    "Wagner",   "Ximénez",   "Yamamoto", "Zimmermann", "Albrecht",  "Bianchi",   "Costa",
    "Dvořák",  "Esposito", "Ferreira", "Gómez",     "Hansen",   "Ito",        "Jovanović", "Keller",    "Lindqvist",
    "Martin",  "Nowak",    "Olsen",    "Pereira",   "Richter",  "Sørensen",   "Tóth",      "Ullmann",   "Virtanen",
    "Weber",   "Almeida",  "Brandt",   "Çelik",     "Durand",   "Egger",      "Fuchs",     "González",  "Hofmann",
    "Ibrahim", "Jansen",   "Koch",     "Larsen",    "Mancini",  "Nielsen",    "Ortiz",     "Popescu",   "Reyes",
    "Santos",  "Torres",   "Usman",    "Varga",     "Wójcik",   "Yıldız",     "Zieliński", "Arslan",    "Bauer",
    "Clarke",  "Diallo",   "Engel",    "Friedrich", "Greco",    "Huber",      "Iyer",      "Janssens",  "Krüger",
    "Lefèvre", "Mensah",   "Neumann",  "Øvergård",  "Peeters",  "Roux",       "Schneider", "Tremblay",  "Urban",
    "Visser",  "Walsh",    "Young",    "Ziegler",   "Ahmed",    "Becker",     "Conti",     "Deschamps", "Evans",
    "Ferrari", "Graf",     "Haas",     "Íñiguez",   "Jung",     "Kim",        "Lopes",     "Meyer",     "Nyström",
    "Otieno",  "Silva"};
constexpr std::array<std::string_view, 8> job_titles{"Engineer", "Accountant", "Nurse",    "Team \"Lead\"",
                                                     "Buyer",    "Recruiter",  "Designer", "Clerk"};
constexpr std::array<std::string_view, 5> employment_types{"FULL_TIME", "PART_TIME", "INTERNSHIP", "FULL_TIME",
                                                           "WORKING_STUDENT"};
constexpr std::array<std::string_view, 4> genders{"FEMALE", "MALE", "NON_BINARY", "NOT_SPECIFIED"};
constexpr std::array<std::string_view, 4> marital{"SINGLE", "MARRIED", "DIVORCED", "Lebenspartnerschaft"};

struct Person {
    std::string first;
    std::string last;
    std::string mail;
    bool left;
    Millis start;
    Millis end;
};

/// A number below 8192 that picks the pair of names. It maps the indexes below 8192 one to one, so that the first 8192
/// employees all have different full names, and mixes them, so that neighbours have nothing in common.
std::uint64_t name_number(Index index) {
    constexpr std::uint64_t pairs = first_names.size() * last_names.size();
    static_assert(pairs == 8192);
    std::uint64_t n = static_cast<std::uint64_t>(index) * 5741 + 2467;
    n %= pairs;
    n ^= n >> 7;
    n = n * 3373 % pairs;
    return n ^ n >> 6;
}

Person person(const View &view, Index index) {
    const std::uint64_t h = view.records.base().hash(Model::employees, index, 30);
    const std::uint64_t n = name_number(index);
    Person p;
    p.first = first_names[n % first_names.size()];
    p.last = last_names[n / first_names.size()];
    p.mail = "employee" + std::to_string(index + 1) + "@example.com";
    p.left = h / 256 % 20 == 0 && index != 0;
    p.start = (13'000 + static_cast<Millis>(h / 4096 % 6000)) * day_ms;
    p.end = p.left ? p.start + 700 * day_ms : 0;
    return p;
}

void render_bank_accounts(std::string &out, std::uint64_t h, const Person &p) {
    out += R"([{"iban":"DE)";
    out += std::to_string(1000000000 + h % 9000000000U);
    out += R"(","bic":"SSKMDEMMXXX","account_number":"00)";
    out += std::to_string(h % 1000000);
    out += R"(","holder_name":)";
    append_quoted(out, p.first + " " + p.last);
    out += h % 2 == 0 ? R"(,"bank_name":"Stadtsparkasse")" : R"(,"bank_name":null)";
    out += R"(,"domestic_bank_routing":{"number":"70150000","type":"DE_BANKLEITZAHL"}}])";
}

void render_manager(std::string &out, const View &view, Index index) {
    const Person p = person(view, index);
    ObjectWriter manager = record_writer(out, view, Model::employees, index);
    manager.text("first_name", p.first);
    manager.text("last_name", p.last);
    manager.text("display_full_name", p.first + " " + p.last);
    manager.keep_text("id", view.records.id(Model::employees, index));
    manager.text("employee_number", std::to_string(index + 1));
    manager.text("work_email", p.mail);
    manager.text("remote_id", view.records.remote_id(Model::employees, index));
    manager.text("employment_status", p.left ? "INACTIVE" : "ACTIVE");
    manager.time_or_null("termination_date", p.end);
    manager.close();
}

template <typename Render> void render_list(std::string &out, const std::vector<Index> &indexes, Render each) {
    out += '[';
    bool first = true;
    for (const Index i : indexes) {
        if (!first) out += ',';
        first = false;
        each(i);
    }
    out += ']';
}

void render_children(ObjectWriter &employee, const View &view, Index index) {
    std::string &out = employee.out();
    const auto served = [&](Model model) {
        std::vector<Index> all;
        for (const Index child : view.records.children(model, index))
            if (served_nested(view, model, child)) all.push_back(child);
        return all;
    };
    if (employee.open("employments"))
        render_list(out, served(Model::employments), [&](Index i) { render_employment(out, view, i); });
    if (employee.open("time_off_balances"))
        render_list(out, served(Model::time_off_balances), [&](Index i) { render_balance(out, view, i, true); });
}

void render_groups(ObjectWriter &employee, std::string_view key, const View &view, Index index) {
    if (!employee.open(key)) return;
    std::vector<Index> groups;
    for (const Link &link : served_links(view, Model::employees, index, Model::teams)) groups.push_back(link.index);
    render_list(employee.out(), groups, [&](Index i) { render_team(employee.out(), view, i, true); });
}

void render_places(ObjectWriter &employee, const View &view, Index index) {
    std::string &out = employee.out();
    const auto entity = view.records.follow(Model::employees, index, Reference::legal_entity);
    if (!entity) {
        employee.null("legal_entity");
    } else if (employee.open("legal_entity")) {
        ObjectWriter object = record_writer(out, view, Model::legal_entities, *entity);
        render_ids(object, view, Model::legal_entities, *entity);
        object.text("name", "Entity " + std::to_string(*entity + 1) + " GmbH");
        if (object.open("address")) render_address(out, view, Model::legal_entities, *entity);
        object.close();
    }
    const auto location = view.records.follow(Model::employees, index, Reference::work_location);
    if (!location)
        employee.null("work_location");
    else if (employee.open("work_location"))
        render_location(out, view, *location);
}

} // namespace

void render_employee(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::employees;
    const std::uint64_t h = view.records.base().hash(model, index, 31);
    const Person p = person(view, index);
    ObjectWriter e = record_writer(out, view, model, index);
    render_ids(e, view, model, index);
    e.text("employee_number", std::to_string(index + 1));
    e.text("first_name", p.first);
    e.text("last_name", p.last);
    e.text("nationality", h % 3 == 0 ? "German" : "French");
    e.text("display_full_name", p.first + " " + p.last);
    e.text("job_title", job_titles[h % 8]);
    e.text("work_email", p.mail);
    e.text("personal_email", "private" + std::to_string(index + 1) + "@example.org");
    e.text("mobile_phone_number", "+49 151 " + std::to_string(h % 10000000));
    e.text("ssn", "12 " + std::to_string(h % 1000000) + " S 001");
    e.text("tax_id", std::to_string(10000000000U + h % 89999999999U));
    e.text("gender", genders[h / 8 % 4]);
    if (h % 5 == 0)
        e.text("ethnicity", "DECLINE_TO_SPECIFY");
    else
        e.null("ethnicity");
    e.text("marital_status", marital[h / 32 % 4]);
    e.text("employment_status", p.left ? "INACTIVE" : "ACTIVE");
    e.text("employment_type", employment_types[h / 128 % 5]);
    e.json("weekly_hours", h / 128 % 5 == 1 ? "22.50" : "40");
    if (h % 4 == 0)
        e.text("avatar", "https://example.com/avatars/" + std::to_string(index) + ".png");
    else
        e.null("avatar");
    render_reference(e, view, model, index, Reference::work_location);
    render_reference(e, view, model, index, Reference::legal_entity);
    render_reference(e, view, model, index, Reference::manager);
    if (e.open("home_address")) render_address(out, view, model, index);
    if (e.open("bank_accounts")) render_bank_accounts(out, h, p);
    // Kombo: a birthday is a date-time at midnight UTC
    e.time("date_of_birth", static_cast<Millis>(h / 1024 % 14'000) * day_ms - 3000 * day_ms);
    e.time("start_date", p.start);
    e.time_or_null("termination_date", p.end);
    e.time("remote_created_at", p.start - 20 * day_ms + 34'567'890);
    render_times(e, view, model, index);
    render_custom_fields(e, view, model, index);
    render_children(e, view, index);
    const auto manager = view.records.follow(model, index, Reference::manager);
    if (!manager)
        e.null("manager");
    else if (e.open("manager"))
        render_manager(out, view, *manager);
    render_groups(e, "groups", view, index);
    render_places(e, view, index);
    render_integration_fields(e, view, model, index);
    render_remote_data(e, view, model, index);
    render_groups(e, "teams", view, index);
    e.close(true);
}

void render_reviewing_employee(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::employees;
    const Person p = person(view, index);
    const Overlay *changes = view.records.overlay(model, index);
    ObjectWriter e = record_writer(out, view, model, index);
    render_ids(e, view, model, index);
    e.text("first_name", p.first);
    e.text("last_name", p.last);
    e.text("display_full_name", p.first + " " + p.last);
    e.text("work_email", p.mail);
    e.keep_time_or_null("remote_deleted_at", changes ? changes->deleted_at : 0);
    e.close();
}

void render_employment(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::employments;
    const std::uint64_t h = view.records.base().hash(model, index, 30);
    ObjectWriter e = record_writer(out, view, model, index);
    render_ids(e, view, model, index);
    render_reference(e, view, model, index, Reference::employee);
    e.text("job_title", job_titles[h % 8]);
    e.json("pay_rate", std::to_string(2000 + h / 8 % 6000) + (h % 2 == 0 ? ".50" : ""));
    e.text("pay_period", "MONTH");
    e.text("pay_frequency", h % 9 == 0 ? "13x im Jahr" : "MONTHLY");
    e.text("employment_type", employment_types[h / 128 % 5]);
    e.text("pay_currency", "EUR");
    e.time("effective_date", (15'000 + static_cast<Millis>(h / 4096 % 4000)) * day_ms);
    render_times(e, view, model, index);
    render_custom_fields(e, view, model, index);
    render_remote_data(e, view, model, index);
    render_integration_fields(e, view, model, index);
    e.close(true);
}

void render_team(std::string &out, const View &view, Index index, bool nested) {
    static constexpr std::array<std::string_view, 3> types{"DEPARTMENT", "TEAM", "COST_CENTER"};
    constexpr Model model = Model::teams;
    ObjectWriter team = record_writer(out, view, model, index);
    render_ids(team, view, model, index);
    team.text("name", "Team " + std::to_string(index + 1));
    if (nested) {
        team.text("type", types[index % 3]);
        team.close();
        return;
    }
    render_times(team, view, model, index);
    team.text("type", types[index % 3]);
    render_reference(team, view, model, index, Reference::parent);
    render_remote_data(team, view, model, index);
    team.close(true);
}

void render_legal_entity(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::legal_entities;
    ObjectWriter entity = record_writer(out, view, model, index);
    render_ids(entity, view, model, index);
    entity.text("name", "Entity " + std::to_string(index + 1) + " GmbH");
    if (entity.open("address")) render_address(out, view, model, index);
    render_times(entity, view, model, index);
    render_remote_data(entity, view, model, index);
    entity.close(true);
}

void render_location(std::string &out, const View &view, Index index) {
    constexpr Model model = Model::locations;
    ObjectWriter location = record_writer(out, view, model, index);
    render_ids(location, view, model, index);
    location.text("name", "Site " + std::to_string(index + 1));
    if (location.open("address")) render_address(out, view, model, index);
    if (index % 3 == 2)
        location.null("type");
    else
        location.text("type", "OFFICE");
    render_times(location, view, model, index);
    render_remote_data(location, view, model, index);
    location.close(true);
}

} // namespace sandbox
