# spacesd. `make help` lists the targets; `make` builds.
#
# BUILD=DIR puts everything that is made into DIR, CC=clang changes the compiler,
# SANITIZE=address,undefined (or thread) instruments, FAULTS=1 compiles the fault points in,
# WEB=off builds without Node (one plain status page instead of the web pages).

VERSION  := 0.1.0
BUILD    ?= build
CC       ?= gcc
ifeq ($(origin CC),default)
CC       := gcc
endif
OPT      ?= -O2 -g
SANITIZE ?=
FAULTS   ?=
WEB      ?= on
PREFIX   ?= /usr/local
UNITDIR  ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
PYTHON   ?= /usr/bin/python3

# --- flags ------------------------------------------------------------------------------------------

ifneq ($(SANITIZE),)
SANFLAGS := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=all
endif
ifneq ($(FAULTS),)
CPPFLAGS += -DSP_FAULTS
endif

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
        -Wwrite-strings -Wformat=2 -Wno-format-nonliteral -Wvla -Wundef
CFLAGS_ALL  = -std=gnu17 $(WARN) $(OPT) $(SANFLAGS) -fstack-protector-strong -fPIE -pthread \
              -D_GNU_SOURCE -DSP_VERSION=\"$(VERSION)\" -DSP_PREFIX=\"$(PREFIX)\" -I. -I$(BUILD) \
              $(CPPFLAGS) $(CFLAGS)
LDFLAGS_ALL = $(SANFLAGS) -pie -pthread -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# Libraries by folder: what a folder may link is what style says it may use.
LIBS_base     := -ljansson
LIBS_sandbox  := -lseccomp -lcgroup -lmnl
LIBS_runtime  := -luv -lsqlite3 -lsodium -lyaml -lz -lm
LIBS_cli      := -lcurl

# --- sources: every .c of a folder belongs to it ------------------------------------------------------

src  = $(sort $(wildcard $(1)/*.c))
objs = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))

BASE     := $(call src,base)
PROTO    := $(call src,ui-protocol)
SCHED    := $(call src,scheduler)
SANDBOX  := $(call src,sandbox)
LAUNCHER := $(call src,sandbox/launcher)
NETWORK  := $(call src,sandbox/network)
GPU      := $(call src,sandbox/gpu)
HELPERS  := $(call src,helpers)
RUNTIME  := $(call src,runtime) $(call src,runtime/server) $(call src,runtime/app) \
            $(call src,runtime/state) $(call src,runtime/spaces) $(call src,runtime/api)
CLI      := $(call src,cli)

LIB_BASE     := $(BUILD)/lib/base.a
LIB_PROTO    := $(BUILD)/lib/ui-protocol.a
LIB_SCHED    := $(BUILD)/lib/scheduler.a
LIB_SANDBOX  := $(BUILD)/lib/sandbox.a
LIB_LAUNCHER := $(BUILD)/lib/launcher.a
LIB_NETWORK  := $(BUILD)/lib/network.a
LIB_HELPERS  := $(BUILD)/lib/helpers.a
LIB_GPU      := $(BUILD)/lib/gpu.a
LIB_RUNTIME  := $(BUILD)/lib/runtime.a
LIB_CLI      := $(BUILD)/lib/cli.a
LIB_WEB      := $(BUILD)/lib/web.a

PROGRAMS := $(BUILD)/spacesd $(BUILD)/spaces $(BUILD)/spaces-launcher $(BUILD)/spaces-resolver $(BUILD)/spaces-gpu $(BUILD)/spaces-base

.PHONY: all build
all: build
build: $(PROGRAMS) $(BUILD)/.sdk-compiled

# Apps see the SDK read-only, so nobody else would write its byte code: 15 ms of each cold start.
$(BUILD)/.sdk-compiled: $(shell find sdk/python -name '*.py' -not -path '*/tests/*')
	@echo "  PYC     sdk/python"
	@$(PYTHON) -m compileall -q sdk/python/worker.py sdk/python/spacekit
	@mkdir -p $(@D) && touch $@

.DELETE_ON_ERROR:
.SECONDARY:

# Other flags, another compiler: everything is built anew.
FLAGS := $(CC) $(CFLAGS_ALL)
$(shell mkdir -p $(BUILD); echo '$(FLAGS)' | cmp -s - $(BUILD)/.flags || echo '$(FLAGS)' > $(BUILD)/.flags)

$(BUILD)/obj/%.o: %.c $(BUILD)/.flags
	@mkdir -p $(@D)
	@echo "  CC      $<"
	@$(CC) $(CFLAGS_ALL) -include base/banned.h -MMD -MP -c $< -o $@

-include $(patsubst %.o,%.d,$(call objs,$(BASE) $(PROTO) $(SCHED) $(SANDBOX) $(LAUNCHER) $(NETWORK) $(GPU) $(HELPERS) $(RUNTIME) $(CLI)))

define archive
$(1): $(call objs,$(2))
	@mkdir -p $$(@D)
	@rm -f $$@
	@$$(AR) rcs $$@ $$^
endef
# A program's main.o stays out of the archive, so that tests can link the rest.
without_main = $(filter-out %/main.c helpers/resolver.c helpers/spaces-gpu.c helpers/spaces-base.c,$(1))
$(eval $(call archive,$(LIB_BASE),$(BASE)))
$(eval $(call archive,$(LIB_PROTO),$(PROTO)))
$(eval $(call archive,$(LIB_SCHED),$(SCHED)))
$(eval $(call archive,$(LIB_SANDBOX),$(SANDBOX)))
$(eval $(call archive,$(LIB_NETWORK),$(NETWORK)))
$(eval $(call archive,$(LIB_HELPERS),$(call without_main,$(HELPERS))))
$(eval $(call archive,$(LIB_LAUNCHER),$(call without_main,$(LAUNCHER))))
$(eval $(call archive,$(LIB_GPU),$(GPU)))
$(eval $(call archive,$(LIB_RUNTIME),$(call without_main,$(RUNTIME))))
$(eval $(call archive,$(LIB_CLI),$(call without_main,$(CLI))))

$(BUILD)/spacesd: $(BUILD)/obj/runtime/main.o $(LIB_RUNTIME) $(LIB_WEB) $(LIB_PROTO) $(LIB_SCHED) $(LIB_SANDBOX) $(LIB_BASE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_runtime) $(LIBS_sandbox) $(LIBS_base)

# The driver's own library is loaded here and nowhere else.
$(BUILD)/spaces-gpu: $(BUILD)/obj/helpers/spaces-gpu.o $(LIB_GPU) $(LIB_BASE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_base)

$(BUILD)/spaces-launcher: $(BUILD)/obj/sandbox/launcher/main.o $(LIB_LAUNCHER) $(LIB_GPU) $(LIB_NETWORK) $(LIB_SANDBOX) $(LIB_BASE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_sandbox) $(LIBS_base)

$(BUILD)/spaces-resolver: $(BUILD)/obj/helpers/resolver.o $(LIB_HELPERS) $(LIB_BASE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_base)

# What strangers packed is unpacked here and nowhere else.
$(BUILD)/spaces-base: $(BUILD)/obj/helpers/spaces-base.o $(LIB_HELPERS) $(LIB_BASE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ -lsodium -lz $(LIBS_base)

$(BUILD)/spaces: $(BUILD)/obj/cli/main.o $(LIB_CLI) $(LIB_PROTO) $(LIB_BASE)
	@echo "  LD      $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $^ $(LIBS_cli) $(LIBS_base)

# --- the web pages, embedded ----------------------------------------------------------------------------

WEB_SRC := $(shell find web -path web/node_modules -prune -o -type f -print 2>/dev/null)

web/node_modules/.stamp: web/package.json web/package-lock.json
	@echo "  NPM     web"
	@cd web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && touch node_modules/.stamp

ifeq ($(WEB),on)
$(BUILD)/web/assets.S $(BUILD)/web/assets.c &: web/node_modules/.stamp $(WEB_SRC)
	@echo "  WEB     $(BUILD)/web"
	@node web/build.mjs --out $(BUILD)/web
else
$(BUILD)/web/assets.S $(BUILD)/web/assets.c &: tools/web-off.sh
	@sh tools/web-off.sh $(BUILD)/web
endif

$(LIB_WEB): $(BUILD)/web/assets.S $(BUILD)/web/assets.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) -c $(BUILD)/web/assets.c -o $(BUILD)/web/assets.o
	@$(CC) -I$(BUILD)/web -c $(BUILD)/web/assets.S -o $(BUILD)/web/blobs.o
	@rm -f $@
	@$(AR) rcs $@ $(BUILD)/web/assets.o $(BUILD)/web/blobs.o

include tools/tests.mk
