# The commands that stay. What they do is in deploy/; this file only names them.
.PHONY: help demo test lint fmt sim ship fuzz-api lab web bench-ingest bench-store bench-report bench-sync

help:
	@echo 'make demo   a mesh of nine agents, an aggregator and its page, on this machine; Ctrl-C removes it all'
	@echo 'make test   every check there is'
	@echo 'make lint   formatting, clippy, layout rules, floors of dependencies, scripts, web'
	@echo 'make fmt    format everything'
	@echo 'make sim    the simulations; the last line is one JSON object'
	@echo 'make bench-ingest | bench-store | bench-report | bench-sync   one benchmark beside its anchor; the last line is one JSON object'
	@echo 'make ship   units, images, compose, chart, dashboards and workflows, as far as this machine can run them (root)'
	@echo 'make fuzz-api   requests made up from the OpenAPI document, against a real aggregator'
	@echo 'make lab    build the network lab, to try things by hand (root)'
	@echo 'make web    build the web pages'

demo:
	@deploy/demo.sh

test:
	@deploy/test.sh

lint:
	@deploy/test.sh lint

fmt:
	@deploy/fmt.sh

sim:
	@cargo run --profile measure --locked -p simulations -- all

ship:
	@deploy/test.sh ship

fuzz-api:
	@deploy/fuzz-api.sh

lab:
	@deploy/lab/lab up
	@deploy/lab/lab help

web:
	@deploy/web.sh

bench-ingest bench-store bench-report bench-sync: bench-%:
	@deploy/bench.sh $*
