/* tests/support/test.h - cmocka, after the headers that it needs. Include it last. */
#ifndef SP_TESTS_SUPPORT_TEST_H
#define SP_TESTS_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
