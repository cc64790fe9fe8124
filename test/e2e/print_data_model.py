"""docs/data-model.md and its pictures, from docs/data-model.template and a database with the data tables. A line of the
template that begins with @ stands for what the database says, of one category:

@overview CATEGORY   a table of the tables: what they are, their keys and what they refer to
@columns CATEGORY    the columns of each table

Which table a column refers to is in its comment ("Manager: id in hris_employees."), which `\\d+` shows as well."""

import re

from print_reference import short, table


def page(db, template):
    tables = {}
    text = []
    for line in template.read_text(encoding="utf-8").splitlines():
        directive, _, category = line.partition(" ")
        if directive in ("@overview", "@columns"):
            tables = tables_of(db, category)
            text.append((overview if directive == "@overview" else columns)(tables))
        else:
            text.append(line)
    return "\n".join(text) + "\n"


def tables_of(db, category):
    """{name: {"comment": …, "columns": [{name, type, comment, key, refers_to}]}} of a category."""
    found = db.execute("""
        SELECT d.table_name, obj_description(d.relation, 'pg_class') AS described, a.attname AS name,
               format_type(a.atttypid, a.atttypmod) AS type, col_description(a.attrelid, a.attnum) AS comment,
               a.attnum = ANY (i.indkey) AS key
        FROM kombo.data_tables d
        JOIN pg_attribute a ON a.attrelid = d.relation AND a.attnum > 0 AND NOT a.attisdropped
        JOIN pg_index i ON i.indrelid = d.relation AND i.indisprimary
        WHERE d.table_name IN (
            SELECT e.table_name FROM kombo.endpoints e WHERE e.category = %(category)s
            UNION SELECT n.table_name FROM kombo.nested_records n JOIN kombo.endpoints e ON e.path = n.endpoint
            WHERE e.category = %(category)s)
        ORDER BY d.table_name, a.attnum""", {"category": category})
    tables = {}
    for column in found:
        named = re.search(r"\bid in (\w+)", column["comment"])
        column["refers_to"] = named and named[1]
        one = tables.setdefault(column["table_name"], {"comment": column["described"], "columns": []})
        one["columns"].append(column)
    return tables


def references(one):
    return [column for column in one["columns"] if column["refers_to"]]


def overview(tables):
    return table(["table", "what it is", "key", "refers to"], [
        (f"[`{name}`](#{name})", one["comment"].rstrip(".") + ".",
         ", ".join(f"`{column['name']}`" for column in one["columns"] if column["key"]),
         "<br>".join(f"`{column['name']}`: `{column['refers_to']}`" for column in references(one)))
        for name, one in tables.items()])


def columns(tables):
    return "\n\n".join(f"#### {name}\n\n" + table(["column", "type", ""], [
        (f"`{column['name']}`", short(column["type"]), column["comment"]) for column in one["columns"]])
        for name, one in tables.items())


def picture(db, category):
    """The tables of a category and what they refer to, in Graphviz's language."""
    tables = tables_of(db, category)
    lines = [f"// The data tables of {category} and their references. Written by docs/write; picture: docs/draw",
             f"digraph data_model_{category.lower()} {{", "    rankdir = LR",
             '    node [shape = plain, fontname = "Helvetica", fontsize = 11]',
             '    edge [color = "#5b7083", arrowsize = 0.7]']
    lines += [f"    {name} [label = <{label(name, one)}>]" for name, one in tables.items()]
    lines += [f"    {name}:{column['name']} -> {column['refers_to']}:id"
              for name, one in tables.items() for column in references(one)]
    return "\n".join(lines) + "\n}\n"


def label(name, one):
    is_join = not any(column["name"] == "id" and column["key"] for column in one["columns"])
    colour = "#fdf6e7" if is_join else "#e4ecf5"
    rows = [f'<tr><td port="id" bgcolor="{colour}"><b>{name}</b></td></tr>']
    rows += [f'<tr><td port="{column["name"]}" align="left">{column["name"]}</td></tr>' for column in references(one)]
    head = '<table border="0" cellborder="1" cellspacing="0" cellpadding="3" color="#5b7083">'
    return "\n        ".join([head, *rows, "</table>"])
