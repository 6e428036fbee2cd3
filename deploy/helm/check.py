"""Lints a chart, renders it with each set of values in ci/, and writes what it rendered for the next check.

Called by test.sh: check.py CHART DIRECTORY. Ends with 1 and says why when something is wrong.
"""

import pathlib
import sys

import helm_python as helm
import yaml

chart_dir, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])


def findings(values: dict) -> list[str]:
    result = helm.lint(str(chart_dir), values=values, strict=True)
    return [f"{message['path']}: {message['error']}" for message in result["messages"] if message["severity"] > 1]


problems = []
with helm.Chart.load(str(chart_dir)) as chart:
    for file in sorted(chart_dir.glob("ci/*-values.yaml")):
        values = yaml.safe_load(file.read_text())
        try:
            chart.validate_schema(values)
            problems += [f"{file.name}: {finding}" for finding in findings(values)]
            rendered = chart.render(values, name="test", namespace="monitoring")
        except helm.HelmError as why:
            problems.append(f"{file.name}: {why}")
            continue
        for name, text in rendered.items():
            documents = [d for d in yaml.safe_load_all(text) if d] if name.endswith(".yaml") else []
            for number, document in enumerate(documents):
                path = out / f"{file.stem}-{document['kind']}-{document['metadata']['name']}-{number}.yaml"
                path.write_text(yaml.safe_dump(document))

for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(1 if problems else 0)
