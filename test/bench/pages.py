"""Pages of a list as they come, for competitors that begin with what was fetched."""

import json
import urllib.parse
import urllib.request


def fetch_pages(base_url, api_key, integration, path="/hris/employees", page_size=250):
    """The bodies of all pages of the list, as text."""
    pages, cursor = [], None
    headers = {"Authorization": f"Bearer {api_key}", "X-Integration-Id": integration}
    while True:
        query = {"page_size": page_size, **({"cursor": cursor} if cursor else {})}
        request = urllib.request.Request(f"{base_url}{path}?{urllib.parse.urlencode(query)}", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            pages.append(answer.read().decode())
        cursor = json.loads(pages[-1])["data"]["next"]
        if not cursor:
            return pages


def write_pages(pages, path):
    """A page a line, as kombo_micro reads them. (A line break in JSON is white space: in a string it is escaped.)"""
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(page.replace("\n", " ") + "\n" for page in pages)
