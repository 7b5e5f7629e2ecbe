from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

SERVICES = "audit/services.py"
# What makes rows: the class itself and the methods of managers and querysets.
WRITERS = re.compile(
    r"(\w+\.)*AuditLog(\..*\.(a?create|a?bulk_create|a?(get|update)_or_create|a?(bulk_)?update"
    r"|a?delete|_raw_delete))?"
)
STATEMENT = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM|TRUNCATE)( TABLE)? \"?audit_logs", re.I)


def sources() -> Iterator[tuple[str, ast.Module]]:
    for app in ("accounts", "audit", "devices", "homepot", "jobs", "sites", "scripts"):
        for path in (Path(settings.BASE_DIR) / app).rglob("*.py"):
            name = path.relative_to(settings.BASE_DIR).as_posix()
            if "/tests/" not in name:
                yield name, ast.parse(path.read_text())


def writes(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and WRITERS.fullmatch(text := ast.unparse(node.func)):
            yield text
        if isinstance(node, ast.Constant) and STATEMENT.search(str(node.value)):
            yield str(node.value)


def test_services_alone_write_the_log():
    found = {name: list(writes(tree)) for name, tree in sources()}
    assert {name for name, texts in found.items() if texts} == {SERVICES}


def test_the_search_finds_other_writers():
    code = "\n".join(
        (
            "AuditLog(event_type='x').save()",
            "models.AuditLog.objects.create()",
            "AuditLog.objects.filter(pk=1).update(outcome='x')",
            "cursor.execute('insert into audit_logs values (1)')",
        )
    )
    assert len(list(writes(ast.parse(code)))) == 4
