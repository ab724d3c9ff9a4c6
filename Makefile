# make demo and make test are the whole set-up; each target below can be run alone.

PYTHON ?= python3
VENV := .venv
JOBS ?= 2
# Tests wait for the disk or an engine a third of their time.
WAITING_JOBS ?= 4
# Python keeps what it compiles, or each process does it again.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export ANSIBLE_COLLECTIONS_PATH := $(CURDIR)/.ansible/collections

# What plays need, the collections beside it, and what contributors need.
controller := $(VENV)/.controller
collections := .ansible/collections/ansible_collections/community/docker/MANIFEST.json
ready := $(VENV)/.ready
importer := .cache/galaxy-importer/.ready
# Where pytest writes how long each test took; stages.sh tells which took longest.
times = --junitxml .cache/times/$@.xml

.PHONY: help demo demo-clean test lint unit units galaxy sanity sanity-newest docs docsite integration mutations mutations-all molecule engines acceptance applications properties kills hosts guides firewall-kills awx sops pages recordings doctor bench build engine engine-stop clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 16

demo: engine $(controller) $(collections) ## Deploy the example application on this machine's engine and show that it is healthy
	examples/demo.sh

demo-clean: ## Remove everything that the demo deployed, data included
	examples/demo.sh clean

test: engine $(ready) ## Run every check and test, first those without an engine, and say how long they took, how busy the cores were, and which tests took longest
	tests/support/stages.sh "sanity lint docs galaxy unit" "integration acceptance molecule"

lint: $(ready) ## Check style and types
	ruff check .
	ruff format --check plugins tests benchmarks molecule
	tests/support/forked_plays.sh ansible-lint --offline --profile production & roles=$$!; mypy; types=$$?; wait $$roles && exit $$types
	vermin --quiet --no-tips --target=3.8- plugins/module_utils plugins/modules
	yamllint --strict .
	antsibull-changelog lint
	check-jsonschema --quiet --builtin-schema vendor.github-workflows examples/site/ci/github.yml .github/workflows/*.yml
	check-jsonschema --quiet --builtin-schema vendor.gitlab-ci examples/site/ci/gitlab.yml

unit: $(ready) ## Test the pure parts, without an engine
	pytest tests/unit tests/properties --numprocesses $(WAITING_JOBS) --cov=plugins --cov-branch $(times)

units: $(ready) ## Run ansible-test units with the newest ansible-core, and on the oldest Python of managed hosts
	NEWEST=1 PYTHON="$(PYTHON)" CORE="$(CORE)" TARGET="$(TARGET)" tests/support/ansible_test.sh units

sanity-newest: $(ready) ## Run ansible-test sanity with the newest ansible-core, too
	NEWEST=1 PYTHON="$(PYTHON)" tests/support/ansible_test.sh sanity

sanity: $(ready) ## Run ansible-test sanity; TEST=pylint for one, CORE=2.20 for one ansible-core
	PYTHON="$(PYTHON)" CORE="$(CORE)" tests/support/ansible_test.sh sanity $(if $(TEST),--test $(TEST))

galaxy: $(ready) $(importer) ## Build the tarball twice, import it as Galaxy does, install it, and look at what is in it (a minute)
	pytest tests/galaxy $(times)

docs: $(ready) ## Check the documentation of plugins and roles as the documentation site builds it
	antsibull-docs lint-collection-docs --plugin-docs .

docsite: $(ready) ## Build the documentation site in .cache/docsite/html, without any warning and with its links checked (a minute)
	rm -rf .cache/docsite
	mkdir -p .cache/docsite/source/reference
	chmod go-w .cache/docsite/source/reference
	git ls-files -z --cached --others --exclude-standard ':!.ansible' | xargs -0 cp --parents --target-directory .cache/docsite/source
	cp docs/docsite/index.md .cache/docsite/source
	antsibull-docs collection --use-current --fail-on-error --squash-hierarchy --dest-dir .cache/docsite/source/reference ptnextjs.docker_vps
	sphinx-build -q -j auto -W --keep-going -c docs/docsite .cache/docsite/source .cache/docsite/html

integration: engine $(ready) ## Test roles and modules on the engine, with the stand-in application, WAITING_JOBS files at once
	tests/support/base_image.sh
	pytest tests/integration --numprocesses $(WAITING_JOBS) --dist loadfile --no-loadscope-reorder $(times)

mutations: engine $(ready) ## See that tests catch faults in every role and module (minutes); ONLY=plugins/ for those in modules alone
	tests/support/base_image.sh
	python tests/mutations/run.py $(ONLY)

mutations-all: $(ready) ## See that tests notice every change of retention and dotenv that Cosmic Ray knows (minutes)
	python tests/mutations/every.py

properties: $(ready) ## Back up and restore 500 random volumes, and compare all that comes back (minutes); VOLUMES=50 for fewer, SEED=1 for the same again
	python tests/properties/run.py --jobs $(JOBS) $(if $(VOLUMES),--volumes $(VOLUMES)) $(if $(SEED),--seed $(SEED))

kills: engine $(ready) ## Kill backups, restores and updates at any time under a writer (minutes); ONLY=updates for one kind
	tests/support/base_image.sh
	python tests/properties/kills.py $(ONLY) $(if $(SEED),--seed $(SEED))

firewall-kills: engine $(ready) ## Kill 20 plays that set the firewall up, at each stage, and see that SSH answers each time (minutes)
	tests/support/packages.sh openssh-client
	python tests/properties/firewall_kills.py $(if $(SEED),--seed $(SEED))

molecule: engine $(ready) ## Test roles on instances with systemd and an engine of their own, WAITING_JOBS at once; SCENARIO=backup for one
	JOBS=$(WAITING_JOBS) tests/support/molecule.sh $(SCENARIO)

engines: engine $(ready) ## Run Molecule scenarios and the tests of updates on other engines, Composes and image stores, and write docs/compatibility.md (an hour); ONLY="lifecycle image"
	python tests/support/matrix.py $(ONLY)

acceptance: engine $(ready) ## Test the specification's acceptance criteria with the real application
	tests/support/own_run.sh pytest tests/acceptance $(times)

applications: engine $(ready) ## Deploy, update, back up and restore real applications, install with each package manager, and write docs/compatibility.md (half an hour); ONLY=next-own for one
	python tests/support/applications.py $(ONLY)

hosts: engine $(ready) ## Set up bare hosts of Debian 12 and 13, from Docker's repository and the distribution's, and write docs/compatibility.md (minutes)
	python tests/support/timed.py hosts $(if $(ONLY),"$(ONLY)")

guides: engine $(ready) ## Follow the pages command by command over SSH on bare hosts, and write docs/compatibility.md (half an hour); ONLY=vps
	tests/support/packages.sh openssh-client curl
	python tests/support/timed.py guides $(if $(ONLY),"$(ONLY)")

sops: $(ready) ## Read a secret from a file of SOPS, with the real program and collection, which are downloaded (seconds)
	pytest tests/sops

pages: $(ready) ## Look at the status page in a real browser, as wide as a desk and as a phone (minutes); SHOTS=/tmp for pictures
	tests/support/packages.sh chromium
	pytest tests/pages $(times)

recordings: engine $(ready) ## Deploy, fail an update and restore in a terminal, and record what is seen as docs/recordings (minutes)
	tests/support/base_image.sh
	python tests/support/recordings.py

doctor: engine $(ready) ## Break a real stack in every way that the doctor knows, fix it by the commands that it names, and write docs/doctor.md (half an hour); ONLY=network
	tests/support/base_image.sh
	python tests/support/doctor.py $(if $(ONLY),"$(ONLY)")

awx: engine $(ready) ## Run the playbooks by ansible-runner as AWX does, and put the site's definitions into a stand-in for AWX (minutes)
	tests/support/packages.sh openssh-client openssh-server
	tests/awx/setup.sh
	tests/support/base_image.sh
	pytest tests/awx $(times)

monitoring: $(ready) ## Have Debian's promtool check metrics and rules, and its node_exporter serve them (seconds)
	tests/support/packages.sh prometheus prometheus-node-exporter
	pytest tests/monitoring

bench: engine $(ready) ## Measure, side by side (20 minutes)
	python benchmarks/run.py

build: $(controller) ## Build the collection's tarball of what git tracks, and print its SHA-256
	$(VENV)/bin/python tests/support/tarball.py

engine: ## Make sure that a Docker engine answers
	tests/support/engine.sh start

engine-stop: ## Stop the engine if it was started from here
	tests/support/engine.sh stop

$(controller): requirements.txt tests/support/venv.sh
	tests/support/venv.sh "$(PYTHON)" "$(VENV)"
	touch $@

$(collections): | $(controller)
	tests/support/collections.sh "$(VENV)/bin/python"

$(ready): $(controller) $(collections) requirements-dev.txt
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements-dev.txt
	touch $@

$(importer): | $(controller)
	$(VENV)/bin/python -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check "galaxy-importer>=0.4.44,<1"
	touch $@

clean: ## Remove what these targets made in this directory
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage ptnextjs-docker_vps-*.tar.gz
	find .ansible -mindepth 1 -maxdepth 1 ! -name collections -exec rm -rf {} +
	find .ansible/collections/ansible_collections -mindepth 1 -maxdepth 1 ! -name ptnextjs -exec rm -rf {} +
