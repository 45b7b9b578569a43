PYTHON ?= python3
SETUP = $(PYTHON) -m bootstrap
.DEFAULT_GOAL := help
.PHONY: help demo up down test bench docs lint lock clean compose-env compose-check

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## Set up, start, publish two sample listings, stay up until Ctrl-C (ONCE=1: stop and exit 0 or 1)
	@$(SETUP) demo $(if $(filter-out 0,$(ONCE)),--once)

up: ## Set up and start everything
	@$(SETUP) up

down: ## Stop everything that was started here
	@$(SETUP) down

test: ## Set up and run the whole test suite (SUITES="sqlite engine": only these)
	@$(SETUP) test $(SUITES)

bench: ## Print how fast it is, as ratios side by side (BENCH="pages live": only these)
	@$(SETUP) bench $(BENCH)

lint: ## Check style, types, import rules, migrations and production settings
	@$(SETUP) lint

docs: ## Write docs/problems.md, and take the twin's differences from docs/twin.md for the report page
	@$(SETUP) docs

lock: ## Bring the requirements*.txt to their .in files (UPGRADE=1: to newer versions)
	@$(SETUP) lock $(if $(UPGRADE),--upgrade)

clean: ## Stop everything and remove all that set-up made
	@$(SETUP) clean

compose-env: ## Write .env for docker-compose.yml, with random secrets
	@$(SETUP) compose-env

compose-check: ## Prove docker-compose.yml: publish, restart every service, back up, restore (COMPOSE="docker compose")
	@$(SETUP) compose-check $(if $(COMPOSE),--compose "$(COMPOSE)") $(if $(KEEP),--keep)
