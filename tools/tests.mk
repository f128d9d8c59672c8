# Tests, checks and benches; part of the Makefile.

UNIT_SRC  := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_BIN  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN  := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))
BENCH_SRC := $(sort $(wildcard tests/bench/bench_*.c))
BENCH_BIN := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SRC))
SUPPORT   := $(call objs,$(filter-out %/fake_nvml.c,$(sort $(wildcard tests/support/*.c))))
# Three libraries of one name: a driver of today, an old one, and one that lacks what we need.
FAKE_NVML := $(foreach kind,today old broken,$(BUILD)/tests/nvml/$(kind)/libnvidia-ml.so.1)

# Everything a test of any folder may need; the linker takes what is used.
TEST_LIBS = $(LIB_RUNTIME) $(LIB_WEB) $(LIB_LAUNCHER) $(LIB_GPU) $(LIB_NETWORK) $(LIB_CLI) $(LIB_PROTO) $(LIB_SCHED) $(LIB_SANDBOX) $(LIB_BASE)
TEST_LINK = $(LIBS_runtime) $(LIBS_sandbox) $(LIBS_cli) $(LIBS_base) -lcmocka

# A folder's tests link only what that folder may use, so that they build before the rest does.
test_libs_base        = $(LIB_BASE)
test_libs_ui-protocol = $(LIB_PROTO) $(LIB_BASE)
test_libs_scheduler   = $(LIB_SCHED) $(LIB_BASE)
test_libs_sandbox     = $(LIB_LAUNCHER) $(LIB_GPU) $(LIB_NETWORK) $(LIB_SANDBOX) $(LIB_BASE)
test_libs_helpers     = $(LIB_HELPERS) $(LIB_BASE)
test_libs_cli         = $(LIB_CLI) $(LIB_PROTO) $(LIB_BASE)
test_libs_runtime     = $(TEST_LIBS)
test_folder           = $(firstword $(subst /, ,$(patsubst $(BUILD)/tests/unit/%,%,$(1))))

.SECONDEXPANSION:
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(SUPPORT) $$(test_libs_$$(call test_folder,$$@))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(TEST_LINK)

FAKE_FLAGS_old    := -DFAKE_NVML_OLD
FAKE_FLAGS_broken := -DFAKE_NVML_BROKEN
$(BUILD)/tests/nvml/%/libnvidia-ml.so.1: tests/support/fake_nvml.c $(BUILD)/.flags
	@mkdir -p $(@D)
	@echo "  SO      $@"
	@$(CC) -std=gnu17 $(WARN) -O1 -g -D_GNU_SOURCE -include base/banned.h $(FAKE_FLAGS_$*) -fPIC -shared -o $@ $<

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(SUPPORT) $(TEST_LIBS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(TEST_LINK)

# Fuzz targets are built whole by clang with its own instrumentation; parsers only.
FUZZ_FLAGS := -std=gnu17 -O1 -g -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined \
              -fno-sanitize-recover=all -Wall -Wextra -Werror
# What a parser of another folder needs beyond base and ui-protocol.
FUZZ_EXTRA_fuzz_card    := runtime/state/card.c
FUZZ_EXTRA_fuzz_journal := $(addprefix runtime/state/journal_,record.c segment.c log.c open.c)
FUZZ_EXTRA_fuzz_dns     := helpers/dns.c
FUZZ_EXTRA_fuzz_tar     := helpers/tar.c
FUZZ_EXTRA_fuzz_cdi     := $(GPU)
FUZZ_EXTRA_fuzz_gpu     := $(GPU)
FUZZ_LIBS_fuzz_card     := -lyaml
$(BUILD)/fuzz/%: tests/fuzz/%.c $(BASE) $(PROTO) $$(FUZZ_EXTRA_$$(@F))
	@mkdir -p $(@D)
	@echo "  FUZZ    $@"
	@clang $(FUZZ_FLAGS) -o $@ $< $(FUZZ_EXTRA_$(@F)) $(BASE) $(PROTO) $(FUZZ_LIBS_$(@F)) $(LIBS_base)

-include $(patsubst tests/%.c,$(BUILD)/obj/tests/%.d,$(UNIT_SRC) $(BENCH_SRC))

# --- targets ----------------------------------------------------------------------------------------------

.PHONY: help deps run install clean test escape unit check asan tsan fuzz base-test bench bench-docs soak fmt fmt-check lint docs cover test-bins guest-test gpu-test

help:
	@echo "make             build spacesd, spaces, the launcher and the page into $(BUILD)/"
	@echo "make deps        install the Debian packages that are missing (asks first)"
	@echo "make run         serve the examples on http://127.0.0.1:7860 (LISTEN=ADDR:PORT)"
	@echo "make test        every test this machine can run (T=text picks, REQUIRE=a,b forbids skips)"
	@echo "make escape      attacks from inside of real sandboxes (T=text picks; WRITE=1 writes docs/escape.md)"
	@echo "make unit        the tests that need seconds and no privileges"
	@echo "make check       what must pass before a push: fmt-check lint test asan fuzz"
	@echo "make asan tsan   unit and end-to-end tests under sanitizers"
	@echo "make fuzz        F=ws TIME=30: fuzz one parser, or each in turn"
	@echo "make guest-test  Debian 12 and 13 with systemd, emulated (G=trixie picks, T=text, WRITE=1: docs/guest.md)"
	@echo "make gpu-test    a lease of a real NVIDIA GPU (root); where there is none it says so, with status 77"
	@echo "make base-test   a base of Debian 12 from a real mirror (B=debian:13 on Debian 13), and an app in it (root; downloads)"
	@echo "make bench       speed and memory beside named peers, as ratios (B=get picks)"
	@echo "make bench-docs  the same, written to docs/benchmarks.md"
	@echo "make soak        starts, Spaces, kills and bad neighbours at length, written to docs/soak.md (root)"
	@echo "make fmt lint    formatting; include arrows, clang-tidy, docs links"
	@echo "make docs        regenerate docs/config.md and docs/cli.md"
	@echo "make install     into PREFIX=$(PREFIX)"
	@echo "make clean"

deps:
	@sh tools/deps.sh

run:
	@sh tools/deps.sh build
	@$(MAKE) --no-print-directory build
	@BUILD=$(BUILD) LISTEN=$(LISTEN) sh tools/run.sh

test-bins: $(UNIT_BIN) $(FAKE_NVML)

# Tests build with the fault points in; the programs under test are the ones that ship plus these.
test: deps
	@$(MAKE) --no-print-directory build test-bins FAULTS=1 BUILD=$(BUILD)-test
	@$(PYTHON) tools/test.py $(BUILD)-test --only "$(T)" --require "$(REQUIRE)"

escape: build
	@$(PYTHON) tests/escape/run.py $(BUILD) $(if $(WRITE),--write)

unit:
	@$(MAKE) --no-print-directory build test-bins FAULTS=1 BUILD=$(BUILD)-test
	@$(PYTHON) tools/test.py $(BUILD)-test --unit --only "$(T)"

asan:
	@$(MAKE) --no-print-directory build test-bins FAULTS=1 BUILD=$(BUILD)-asan SANITIZE=address,undefined OPT="-O1 -g"
	@$(PYTHON) tools/test.py $(BUILD)-asan --only "$(T)"

tsan:
	@$(MAKE) --no-print-directory test-bins FAULTS=1 BUILD=$(BUILD)-tsan SANITIZE=thread OPT="-O1 -g"
	@$(PYTHON) tools/test.py $(BUILD)-tsan --unit --only "unit/runtime"

# As root: the guests' file systems are made here. Minutes; the first time also downloads them.
guest-test:
	@$(PYTHON) tests/guest/run.py $(if $(G),--only $(G)) $(if $(T),--suite $(T)) $(if $(WRITE),--write docs/guest.md)

# As root. What `make test` does with stand-ins, and a program that computes; 77 (make says 2) without a GPU.
gpu-test: build
	@BUILD=$(BUILD) $(PYTHON) tests/e2e/gpu_real.py

# As root; minutes, and some hundred megabytes from Debian's mirror.
base-test: build
	@BUILD=$(BUILD) $(PYTHON) tests/e2e/base_real.py $(B)

TIME ?= 30
fuzz: $(if $(F),$(BUILD)/fuzz/fuzz_$(F),$(FUZZ_BIN))
	@sh tools/fuzz.sh $(TIME) $^

bench: build $(BENCH_BIN)
	@$(PYTHON) tools/bench.py $(BUILD) --only "$(B)"
# Minutes; on a machine that has nothing else to do.
bench-docs: build $(BENCH_BIN)
	@$(PYTHON) tools/bench.py $(BUILD) --write

# Minutes, as root: a thousand starts, two hundred Spaces at once, kills, bad neighbours. Writes docs/soak.md.
soak: build $(BUILD)/bench/bench_queue
	@$(PYTHON) tools/soak.py $(BUILD)

C_FILES = $(shell git ls-files --cached --others --exclude-standard '*.c' '*.h')
fmt:
	@clang-format -i $(C_FILES)
fmt-check:
	@clang-format --dry-run -Werror $(C_FILES)

lint:
	@$(PYTHON) tools/lint.py
	@sh tools/tidy.sh

check: fmt-check lint test asan
	@$(MAKE) --no-print-directory build test-bins CC=clang BUILD=$(BUILD)-clang
	@$(MAKE) --no-print-directory fuzz TIME=30

docs: build
	@$(BUILD)/spacesd --config-docs > docs/config.md
	@$(BUILD)/spaces help --markdown > docs/cli.md

install: build
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec $(DESTDIR)$(PREFIX)/lib/spacesd $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 755 $(BUILD)/spacesd $(BUILD)/spaces $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(BUILD)/spaces-launcher $(BUILD)/spaces-resolver $(BUILD)/spaces-gpu $(BUILD)/spaces-base $(DESTDIR)$(PREFIX)/libexec/
	cp -r sdk/python $(DESTDIR)$(PREFIX)/lib/spacesd/
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SYSUSERSDIR)
	sed 's|@BINDIR@|$(PREFIX)/bin|' deploy/spacesd.service > $(DESTDIR)$(UNITDIR)/spacesd.service
	install -m 644 deploy/sysusers.conf $(DESTDIR)$(SYSUSERSDIR)/spacesd.conf
	$(BUILD)/spaces man > $(DESTDIR)$(PREFIX)/share/man/man1/spaces.1

clean:
	rm -rf $(BUILD) $(BUILD)-test $(BUILD)-asan $(BUILD)-tsan $(BUILD)-clang

include tools/llhttp.mk
