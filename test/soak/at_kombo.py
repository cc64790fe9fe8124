"""Steps: what changes at Kombo, each with the webhooks that tell of it."""

from locks import unless_locked
from steps import draw_integration, draw_record, step
from world import Integration

# The lists of links that can be set, and what they name.
LINKS = {("hris_employees", "groups"): "hris_teams",
         ("hris_staffing_entities", "groups"): "hris_teams",
         ("hris_staffing_entities", "locations"): "hris_locations",
         ("hris_staffing_entities", "legal_entities"): "hris_legal_entities",
         ("hris_staffing_entities", "skills"): "hris_skills",
         ("ats_jobs", "stages"): "ats_application_stages",
         ("ats_jobs", "screening_questions"): "ats_screening_questions",
         ("ats_jobs", "hiring_team"): "ats_users",
         ("ats_candidates", "tags"): "ats_tags",
         ("ats_interviews", "users"): "ats_users",
         ("lms_course_revisions", "skill_assignments"): "lms_skills"}


def draw_change(world, chance):
    found = draw_record(world, chance)
    return found and {**found, "value": f"Änderung {world.number()}"}


@step(30, draw_change)
def change(world, on, model, id, value):
    integration = world.integrations[on]
    world.at_kombo(integration, "change", model, id=id, set={world.models[model]["text_key"]: value})


def draw_create(world, chance):
    found = draw_record(world, chance)
    return found and {**found, "id": f"made{world.number()}", "value": f"Neu {world.numbers}"}


@step(8, draw_create)
def create(world, on, model, id, value):
    integration = world.integrations[on]
    if world.at_kombo(integration, "create", model, id=id, set={world.models[model]["text_key"]: value}):
        integration.ids[model].append(id)


@step(7, draw_record)
def delete(world, on, model, id):
    integration = world.integrations[on]
    world.at_kombo(integration, "delete", model, id=id)


@step(6, draw_record)
def undelete(world, on, model, id):
    integration = world.integrations[on]
    if world.at_kombo(integration, "undelete", model, id=id) and (model, id) in integration.purged:
        integration.need("full", f"{model}: what names a purged record shows it again, and is not changed")


@step(0.7, draw_record)
def wipe(world, on, model, id):
    """The fields of a deleted record become null, of which Kombo does not tell; one that was alive is deleted first."""
    integration = world.integrations[on]
    if world.at_kombo(integration, "wipe", model, id=id):
        integration.need("full", f"{model}: wiping shows in fulls alone", world.models[model]["endpoint"])


@step(0.7, lambda world, chance: draw_record(world, chance, lambda row: row["text_key"] and not row["keeps"]))
def purge(world, on, model, id):
    """Kombo does not tell of it: it is 14 days after the deletion, of which it told."""
    integration = world.integrations[on]
    if world.at_kombo(integration, "purge", model, id=id):
        integration.need("full", f"{model}: a purge shows in fulls alone")
        integration.purged.add((model, id))


def draw_move(world, chance):
    found = draw_record(world, chance, lambda row: row["references"])
    if not found:
        return None
    field, target = chance.choice(sorted(world.models[found["model"]]["references"]))
    ids = world.integrations[found["on"]].ids.get(target)
    return {**found, "field": field, "to": chance.choice(ids)} if ids else None


@step(8, draw_move)
def move(world, on, model, id, field, to):
    """Another parent, manager, place of work …"""
    integration = world.integrations[on]
    if world.at_kombo(integration, "change", model, id=id, set={field: to}) and model == "ats_applications":
        integration.need("delta", "an offer tells of its application's job and candidate", "/ats/offers")


def draw_links(world, chance):
    name = draw_integration(world, chance)["on"]
    ids = world.integrations[name].ids
    lists = sorted((parent, key) for (parent, key), target in LINKS.items() if ids.get(parent) and ids.get(target))
    if not lists:
        return None
    parent, key = chance.choice(lists)
    targets = ids[LINKS[parent, key]]
    return {"on": name, "model": parent, "id": chance.choice(ids[parent]), "list": key,
            "ids": chance.sample(targets, min(chance.randint(0, 3), len(targets)))}


@step(8, draw_links)
def set_links(world, on, model, id, list, ids):
    integration = world.integrations[on]
    world.at_kombo(integration, "set_links", model, id=id, list=list, ids=ids)


def draw_state(world, chance):
    return {**draw_integration(world, chance), "state": chance.choice(["ACTIVE", "ACTIVE", "INVALID", "gone"])}


@step(2.5, draw_state)
def set_state(world, on, state):
    """The tool no longer lets Kombo in, the integration is deleted at Kombo, or all is well again."""
    integration = world.integrations[on]
    world.sandbox.change_integration(integration.id, deleted=state == "gone",
                                     status="INVALID" if state == "INVALID" else "ACTIVE")
    integration.state = state
    if state == "gone":
        world.causes.add("gone")
    world.collect()
    world.held.append(world.sandbox.webhook(type="integration-state-changed", integration=integration.id))


MOST = 7


@step(0.3, lambda world, chance: {**draw_integration(world, chance), "name": f"anew{world.number()}"})
def connect_anew(world, on, name):
    """The customer connects the same system once more: an integration with another id, and the old one is gone."""
    if len(world.integrations) == MOST:
        return
    new = Integration(name, world.integrations[on].category)
    new.troubled = True  # by what steps have begun before
    with unless_locked():
        world.db.add_integration(new.id, category=new.category)
        set_state(world, on, "gone")
        world.sandbox.add_integration(new.id, category=new.category, employees=world.employees, seed=world.numbers)
        world.collect()
        world.meet(new)


@step(1, lambda world, chance: {**draw_integration(world, chance), "order": chance.choice(["index", "changed_at"])})
def shift_pages(world, on, order):
    """By changed_at every change moves its record to another page."""
    world.sandbox.change_integration(world.integrations[on].id, order=order)
    world.integrations[on].need("full", "what was on a later page of a fetch may be on an earlier one now")
