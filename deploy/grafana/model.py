"""Reads the dashboards into Grafana's own model of them, and says what of them the model does not know.

Called by test.sh: model.py DIRECTORY. A name that is misspelt is not an error for Grafana: the panel just looks otherwise.
"""

import json
import pathlib
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

plugins.register_default_plugins()


def lost(ours, theirs, path=""):
    """What is in ours and not in theirs. Empty values may be left out."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from lost(value, theirs[key], f"{path}/{key}")
            elif value not in (None, "", [], {}, False):
                yield f"{path}/{key}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, (one, other) in enumerate(zip(ours, theirs)):
            yield from lost(one, other, f"{path}/{number}")
    elif ours != theirs:
        yield path


problems = []
for file in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    dashboard = json.loads(file.read_text())
    understood = json.loads(json.dumps(Dashboard.from_json(dashboard), cls=JSONEncoder))
    problems += [f"{file.name}: Grafana does not know {path}" for path in lost(dashboard, understood)]

for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(1 if problems else 0)
