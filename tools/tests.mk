# Tests, checks and benches; part of the Makefile.

UNIT_SRC  := $(sort $(wildcard tests/unit/*/test_*.c))
UNIT_BIN  := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
FUZZ_SRC  := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_BIN  := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(FUZZ_SRC))
BENCH_SRC := $(sort $(wildcard tests/bench/bench_*.c))
BENCH_BIN := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(BENCH_SRC))
SUPPORT   := $(call objs,$(sort $(wildcard tests/support/*.c)))

# Everything a test of any folder may need; the linker takes what is used.
TEST_LIBS = $(LIB_RUNTIME) $(LIB_WEB) $(LIB_LAUNCHER) $(LIB_CLI) $(LIB_PROTO) $(LIB_SCHED) $(LIB_SANDBOX) $(LIB_BASE)
TEST_LINK = $(LIBS_runtime) $(LIBS_sandbox) $(LIBS_cli) $(LIBS_base) -lcmocka

# A folder's tests link only what that folder may use, so that they build before the rest does.
test_libs_base        = $(LIB_BASE)
test_libs_ui-protocol = $(LIB_PROTO) $(LIB_BASE)
test_libs_scheduler   = $(LIB_SCHED) $(LIB_BASE)
test_libs_sandbox     = $(LIB_LAUNCHER) $(LIB_SANDBOX) $(LIB_BASE)
test_libs_cli         = $(LIB_CLI) $(LIB_PROTO) $(LIB_BASE)
test_libs_runtime     = $(TEST_LIBS)
test_folder           = $(firstword $(subst /, ,$(patsubst $(BUILD)/tests/unit/%,%,$(1))))

.SECONDEXPANSION:
$(BUILD)/tests/unit/%: $(BUILD)/obj/tests/unit/%.o $(SUPPORT) $$(test_libs_$$(call test_folder,$$@))
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(TEST_LINK)

$(BUILD)/bench/%: $(BUILD)/obj/tests/bench/%.o $(SUPPORT) $(TEST_LIBS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(TEST_LINK)

# Fuzz targets are built whole by clang with its own instrumentation; parsers only.
FUZZ_FLAGS := -std=gnu17 -O1 -g -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined \
              -fno-sanitize-recover=all -Wall -Wextra -Werror
$(BUILD)/fuzz/%: tests/fuzz/%.c $(BASE) $(PROTO)
	@mkdir -p $(@D)
	@echo "  FUZZ    $@"
	@clang $(FUZZ_FLAGS) -o $@ $< $(BASE) $(PROTO) $(LIBS_base)

-include $(patsubst tests/%.c,$(BUILD)/obj/tests/%.d,$(UNIT_SRC) $(BENCH_SRC))
