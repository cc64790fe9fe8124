"""docs/security.md: each line of its threat model names tests that exist."""

import re

from documents import ROOT, page


def test_each_test_that_the_threat_model_names_exists():
    lines = [line for line in page("docs/security.md").splitlines() if line.startswith("| ")]
    tests, in_model = set(), False
    for line in lines:
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells[-1] in ("test", "against", "is trusted with"):
            in_model = cells[-1] == "test"
        elif in_model and not set(line) <= set("|- "):
            named = re.findall(r"`(\w+)`", cells[-1])
            assert named, f"no test holds: {cells[0]}"
            tests |= set(named)
    texts = [path.read_text(encoding="utf-8") for folder in ("e2e", "unit")
             for path in (ROOT / "test" / folder).glob("*") if path.suffix in (".py", ".cpp")]
    known = set(re.findall(r"^def (test_\w+)|^TEST\w*\(\w+, (\w+)\)", "\n".join(texts), re.MULTILINE))
    known = {name for pair in known for name in pair if name} | {path.stem for path in (ROOT / "sql").glob("*.sql")}
    assert len(tests) > 30
    assert tests <= known, f"docs/security.md names tests that are not there: {sorted(tests - known)}"
