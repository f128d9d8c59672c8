# llhttp (Debian: node-llhttp), for one test and one bench only: never part of a program of ours.
# Without the package both say so and skip.

LLHTTP_SRC := $(wildcard /usr/share/llhttp/*.c)
LLHTTP_OBJ := $(patsubst /usr/share/llhttp/%.c,$(BUILD)/obj/llhttp/%.o,$(LLHTTP_SRC))

ifneq ($(LLHTTP_SRC),)
$(BUILD)/obj/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	@$(CC) -w $(OPT) $(SANFLAGS) -fPIE -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp -c $< -o $@

$(BUILD)/obj/tests/unit/ui-protocol/test_http1_llhttp.o \
$(BUILD)/obj/tests/bench/bench_http1.o: CFLAGS += -DSP_LLHTTP -isystem /usr/share/include/llhttp

$(BUILD)/tests/unit/ui-protocol/test_http1_llhttp $(BUILD)/bench/bench_http1: $(LLHTTP_OBJ)
endif
