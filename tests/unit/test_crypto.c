/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Digests against published vectors (FIPS 180-4, RFC 4231, RFC 4648). */
#include "crypto.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
hex_of(const unsigned char *p, char out[SHA256_HEX])
{
	crypto_hex(p, SHA256_BYTES, out);
}

static void
test_sha256(void **state)
{
	unsigned char sum[SHA256_BYTES];
	char hex[SHA256_HEX];
	struct crypto_sha256 *d;

	(void)state;
	crypto_sha256("abc", 3, sum);
	hex_of(sum, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
				 "b00361a396177a9cb410ff61f20015ad");
	d = crypto_sha256_new();
	assert_non_null(d);
	crypto_sha256_add(d, "a", 1);
	crypto_sha256_add(d, "bc", 2);
	memset(sum, 0, sizeof(sum));
	crypto_sha256_end(d, sum);
	hex_of(sum, hex);
	assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223"
				 "b00361a396177a9cb410ff61f20015ad");
}

static void
test_hmac(void **state)
{
	unsigned char sum[SHA256_BYTES];
	char hex[SHA256_HEX];

	(void)state;
	crypto_hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, sum);
	hex_of(sum, hex);
	assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c7"
				 "5a003f089d2739839dec58b964ec3843");
}

static void
test_base64(void **state)
{
	static const struct {
		const char *text;
		int n;
		const char *bytes;
	} rows[] = {
		{ "", 0, "" },
		{ "Zg==", 1, "f" },
		{ "Zm8=", 2, "fo" },
		{ "Zm9v", 3, "foo" },
		{ "Zm9vYg==", 4, "foob" },
		{ "Zg=", -1, "" },
		{ "Z!==", -1, "" },
		{ "Zm9vYmFy", 6, "foobar" },
	};
	unsigned char out[6];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int n = crypto_base64_decode(rows[i].text, out, sizeof(out));

		assert_int_equal(n, rows[i].n);
		if (n > 0)
			assert_memory_equal(out, rows[i].bytes, (size_t)n);
	}
	assert_int_equal(crypto_base64_decode("Zm9vYmFy", out, 5), -1);
}

static void
test_random(void **state)
{
	unsigned char a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	assert_int_equal(crypto_random(a, sizeof(a)), 0);
	assert_int_equal(crypto_random(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void
test_ca(void **state)
{
	struct error e;

	(void)state;
	assert_int_equal(crypto_ca_load("/nowhere/ca.pem", &e), -1);
	assert_int_equal(e.code, ERROR_INPUT);
	assert_non_null(strstr(e.text, "CA_FILE"));
	assert_int_equal(crypto_ca_load("", &e), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256), cmocka_unit_test(test_hmac),
		cmocka_unit_test(test_base64), cmocka_unit_test(test_random),
		cmocka_unit_test(test_ca),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
