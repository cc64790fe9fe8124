// The service that Kombo's guide "Fetching data" tells its customers to write, in full: pages of /hris/employees one
// after the other, each record upserted with its nested ones through an ORM. A competitor of ./bench.
//
//   node guide.mjs --base-url URL --api-key KEY --integration ID --database DSN [--updated-after TIME] [--page-size N]
//
// With --updated-after it does what a data-changed webhook leads to, otherwise what the weekly job does. Prints a line
// of JSON: seconds, requests, records, orm. The packages (BENCH_NODE_PACKAGES in test/stage.sh, and the client that
// prisma made of guide.prisma) are looked up from the working directory. The database has been given guide.sql.
import http from 'node:http';
import https from 'node:https';
import {createRequire} from 'node:module';
import {parseArgs} from 'node:util';
import {pathToFileURL} from 'node:url';

const require = createRequire(pathToFileURL(process.cwd() + '/'));
const axios = require('axios');
const {Prisma, PrismaClient} = require('@prisma/client');
const {PrismaPg} = require('@prisma/adapter-pg');

const text = {type: 'string'};
const {values: options} = parseArgs({options: {
  'base-url': text, 'api-key': text, integration: text, database: text, 'updated-after': text, 'page-size': text,
}});
for (const name of ['base-url', 'api-key', 'integration', 'database']) {
  if (!options[name]) {
    console.error(`guide.mjs: --${name} is missing`);
    process.exit(2);
  }
}

// A URL, or libpq's "host=… port=… dbname=… user=…".
function poolConfig(dsn) {
  if (dsn.includes('://')) return {connectionString: dsn};
  const names = {dbname: 'database', hostaddr: 'host'};
  return Object.fromEntries(dsn.trim().split(/\s+/).map((pair) => {
    const [name, ...value] = pair.split('=');
    return [names[name] ?? name, value.join('=').replace(/^'|'$/g, '')];
  }));
}

// The adapter sends instants as UTC without saying so.
const adapter = new PrismaPg({...poolConfig(options.database), options: '-c TimeZone=UTC'}, {schema: 'guide'});
const prisma = new PrismaClient({adapter});
const kombo = axios.create({
  baseURL: options['base-url'],
  httpAgent: new http.Agent({keepAlive: true}),
  httpsAgent: new https.Agent({keepAlive: true}),
});

let requests = 0;
let records = 0;

async function handleDataChangedWebhook(body) {
  const integration = await prisma.integration.findUniqueOrThrow({
    where: {kombo_integration_id: body.data.integration_id},
    select: {id: true, last_fetched_from_kombo_at: true, kombo_integration_id: true},
  });
  const fetchStartDate = new Date();
  const lastFetchStartDate = integration.last_fetched_from_kombo_at?.toISOString();
  if (body.data.changed_models.find((entry) => entry.name === 'hris_employees')) {
    await fetchEmployees(integration.kombo_integration_id, lastFetchStartDate);
  }
  await prisma.integration.update({
    where: {id: integration.id},
    data: {last_fetched_from_kombo_at: fetchStartDate},
  });
}

async function handleCronJob(integration) {
  const fetchStartDate = new Date();
  await fetchEmployees(integration.kombo_integration_id);
  await prisma.integration.update({
    where: {id: integration.id},
    data: {last_fetched_from_kombo_at: fetchStartDate},
  });
}

async function fetchEmployees(integrationId, updatedAfter) {
  let cursor;
  do {
    const resp = await kombo.get('/hris/employees', {
      headers: {Authorization: `Bearer ${options['api-key']}`, 'X-Integration-Id': integrationId},
      params: {cursor, updated_after: updatedAfter, page_size: options['page-size']},
    });
    requests += 1;
    cursor = resp.data.data.next;
    await handleEmployeeData(integrationId, resp.data.data.results);
  } while (cursor);
}

async function handleEmployeeData(integrationId, employees) {
  for (const employee of employees) {
    await handleEmployee(integrationId, employee);
    records += 1;
  }
}

// One transaction an employee: readers see the record and what is nested in it change together.
async function handleEmployee(integration_id, employee) {
  const employee_id = employee.id;
  await prisma.$transaction(async (tx) => {
    if (employee.work_location) await upsert(tx.location, integration_id, employee.work_location, locationColumns);
    if (employee.legal_entity) await upsert(tx.legalEntity, integration_id, employee.legal_entity, legalEntityColumns);
    await upsert(tx.employee, integration_id, employee, employeeColumns);
    for (const employment of employee.employments ?? []) {
      await upsert(tx.employment, integration_id, employment, employmentColumns);
    }
    for (const balance of employee.time_off_balances ?? []) {
      await upsert(tx.timeOffBalance, integration_id, balance, balanceColumns);
    }
    if (!employee.groups) return;
    for (const group of employee.groups) await upsert(tx.group, integration_id, group, groupColumns);
    // A membership has no record of its own whose deletion Kombo could tell of.
    const team_ids = employee.groups.map((group) => group.id);
    await tx.membership.deleteMany({where: {integration_id, employee_id, team_id: {notIn: team_ids}}});
    await tx.membership.createMany({
      data: team_ids.map((team_id) => ({integration_id, employee_id, team_id})),
      skipDuplicates: true,
    });
  }, {timeout: 60_000, maxWait: 60_000}); // on a busy machine, too
}

// With a key as `where` this is one INSERT ... ON CONFLICT; without `select` it would return the whole row.
async function upsert(model, integration_id, record, columns) {
  const key = {integration_id, id: record.id};
  const data = {...envelope(record), ...columns(record)};
  await model.upsert({
    where: {integration_id_id: key},
    create: {...key, ...data},
    update: data,
    select: {id: true},
  });
}

// A key that a nested record does not carry is undefined, which Prisma leaves alone.
const date = (value) => (typeof value === 'string' ? new Date(value) : value);
const json = (value) => (value === null ? Prisma.DbNull : value);

const envelope = (r) => ({
  changed_at: date(r.changed_at),
  remote_deleted_at: date(r.remote_deleted_at),
  custom_fields: json(r.custom_fields),
  remote_data: json(r.remote_data),
});

const employeeColumns = (r) => ({
  remote_id: r.remote_id,
  employee_number: r.employee_number,
  first_name: r.first_name,
  last_name: r.last_name,
  nationality: r.nationality,
  display_full_name: r.display_full_name,
  job_title: r.job_title,
  work_email: r.work_email,
  personal_email: r.personal_email,
  mobile_phone_number: r.mobile_phone_number,
  ssn: r.ssn,
  tax_id: r.tax_id,
  gender: r.gender,
  ethnicity: r.ethnicity,
  marital_status: r.marital_status,
  employment_status: r.employment_status,
  employment_type: r.employment_type,
  weekly_hours: r.weekly_hours,
  avatar: r.avatar,
  work_location_id: r.work_location_id,
  legal_entity_id: r.legal_entity_id,
  manager_id: r.manager_id,
  home_address: json(r.home_address),
  bank_accounts: json(r.bank_accounts),
  date_of_birth: date(r.date_of_birth),
  start_date: date(r.start_date),
  termination_date: date(r.termination_date),
  remote_created_at: date(r.remote_created_at),
  integration_fields: json(r.integration_fields),
});

const employmentColumns = (r) => ({
  remote_id: r.remote_id,
  employee_id: r.employee_id,
  job_title: r.job_title,
  pay_rate: r.pay_rate,
  pay_period: r.pay_period,
  pay_frequency: r.pay_frequency,
  employment_type: r.employment_type,
  pay_currency: r.pay_currency,
  effective_date: date(r.effective_date),
  integration_fields: json(r.integration_fields),
});

const balanceColumns = (r) => ({
  remote_id: r.remote_id,
  employee_id: r.employee_id,
  type_id: r.type_id,
  balance: r.balance,
  balance_unit: r.balance_unit,
  used: r.used,
  used_unit: r.used_unit,
});

const groupColumns = (r) => ({
  remote_id: r.remote_id,
  name: r.name,
  type: r.type,
  parent_id: r.parent_id,
});

const legalEntityColumns = (r) => ({
  remote_id: r.remote_id,
  name: r.name,
  address: json(r.address),
});

const locationColumns = (r) => ({
  remote_id: r.remote_id,
  name: r.name,
  address: json(r.address),
  type: r.type,
});

async function run() {
  const last_fetched_from_kombo_at = options['updated-after'] ? new Date(options['updated-after']) : null;
  const kombo_integration_id = options.integration;
  const integration = await prisma.integration.upsert({
    where: {kombo_integration_id},
    create: {kombo_integration_id, last_fetched_from_kombo_at},
    update: {last_fetched_from_kombo_at},
  });
  const began = performance.now();
  if (last_fetched_from_kombo_at) {
    const changed_models = [{name: 'hris_employees'}];
    await handleDataChangedWebhook({data: {integration_id: kombo_integration_id, changed_models}});
  } else {
    await handleCronJob(integration);
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(JSON.stringify({seconds, requests, records, orm: `prisma ${Prisma.prismaVersion.client}`}));
}

try {
  await run();
} catch (error) {
  console.error(`guide.mjs: ${error.message}`);
  process.exitCode = 1;
} finally {
  await prisma.$disconnect();
}
