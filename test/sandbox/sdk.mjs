// Reads every list that Kombo's own client knows completely, through all pages, and compares the number of
// records with the sandbox's. Prints TAP; exits with 1 if a list fails.
//
// usage: node sdk.mjs http://127.0.0.1:PORT API_KEY INTEGRATION_ID     (with @kombo-api/sdk in node_modules)
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [base, api_key, integration_id] = process.argv.slice(2);
if (!integration_id) {
  console.error("usage: node sdk.mjs BASE_URL API_KEY INTEGRATION_ID");
  process.exit(2);
}

// The package is looked up from the working directory, so that it can live outside the project.
const require = createRequire(pathToFileURL(process.cwd() + "/"));
const { Kombo } = await import(pathToFileURL(require.resolve("@kombo-api/sdk")));

const lists = {
  "/hris/absence-types": "getAbsenceTypes",
  "/hris/absences": "getAbsences",
  "/hris/employee-document-categories": "getEmployeeDocumentCategories",
  "/hris/employees": "getEmployees",
  "/hris/employments": "getEmployments",
  "/hris/groups": "getGroups",
  "/hris/legal-entities": "getLegalEntities",
  "/hris/locations": "getLocations",
  "/hris/performance-review-cycles": "getPerformanceReviewCycles",
  "/hris/performance-reviews": "getPerformanceReviews",
  "/hris/staffing-entities": "getStaffingEntities",
  "/hris/time-off-balances": "getTimeOffBalances",
  "/hris/timesheets": "getTimesheets",
  "/ats/application-stages": "getApplicationStages",
  "/ats/applications": "getApplications",
  "/ats/candidates": "getCandidates",
  "/ats/interviews": "getInterviews",
  "/ats/jobs": "getJobs",
  "/ats/offers": "getOffers",
  "/ats/rejection-reasons": "getRejectionReasons",
  "/ats/roles": "getRoles",
  "/ats/tags": "getTags",
  "/ats/users": "getUsers",
  "/assessment/orders": "getAssessmentOrders",
};
// Takes neither updated_after nor include_deleted.
const without_deltas = ["/assessment/orders"];

const kombo = new Kombo({ server_url: base + "/v1", api_key, integration_id });
let number = 0;
let failed = 0;

async function check(name, body) {
  number += 1;
  try {
    console.log(`ok ${number} - ${name}${(await body()) ?? ""}`);
  } catch (error) {
    failed += 1;
    console.log(`not ok ${number} - ${name}`);
    console.log(String(error?.pretty?.() ?? error).replace(/^/gm, "# ").slice(0, 2000));
  }
}

async function read_all(path, method, query) {
  const ids = new Set();
  let pages = 0;
  for await (const page of await kombo[path.split("/")[1]][method](query)) {
    pages += 1;
    for (const record of (page.result ?? page).data.results) {
      if (ids.has(record.id)) throw new Error(`the record ${record.id} came twice`);
      ids.add(record.id);
    }
  }
  return { ids, pages };
}

async function expect_count(path, found, include_deleted) {
  const query = new URLSearchParams({ integration: integration_id, path, include_deleted });
  const { count } = await (await fetch(`${base}/admin/count?${query}`)).json();
  if (found !== count) throw new Error(`read ${found} records, the sandbox has ${count}`);
}

await check("/check-api-key", async () => {
  const answer = await kombo.general.checkApiKey();
  if (!answer.data.environment_id) throw new Error("no environment_id");
});
await check("/integrations/{id}", async () => {
  const answer = await kombo.general.getIntegrationDetails({ integration_id });
  if (answer.data.id !== integration_id) throw new Error(`the answer is about ${answer.data.id}`);
});
// One tombstone in every list, so that both ways of reading differ.
for (const path of Object.keys(lists)) {
  const query = new URLSearchParams({ integration: integration_id, model: path, include_deleted: false });
  const { results } = await (await fetch(`${base}/admin/records?${query}`)).json();
  await fetch(`${base}/admin/records`, {
    method: "POST",
    body: JSON.stringify({ integration: integration_id, model: path, op: "delete", id: results.at(-1).id }),
  });
}
for (const [path, method] of Object.entries(lists)) {
  await check(path, async () => {
    const { ids, pages } = await read_all(path, method, { page_size: 100 });
    await expect_count(path, ids.size, false);
    return ` (${ids.size} records, ${pages} pages)`;
  });
  if (without_deltas.includes(path)) continue;
  await check(`${path} with its tombstone, since 2020`, async () => {
    const { ids } = await read_all(path, method, {
      page_size: 250,
      include_deleted: true,
      updated_after: new Date("2020-01-01T00:00:00Z"),
    });
    await expect_count(path, ids.size, true);
  });
}
console.log(`1..${number}`);
process.exit(failed ? 1 : 0);
