/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Address rules: what is public, what a list allows, how it is written. */
#include "address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const public_ones[] = {
	"1.1.1.1",
	"8.8.8.8",
	"9.255.255.255",
	"11.0.0.0",
	"100.63.255.255",
	"100.128.0.0",
	"126.255.255.255",
	"128.0.0.1",
	"168.63.129.15",
	"169.253.255.255",
	"169.255.0.0",
	"172.15.255.255",
	"172.32.0.0",
	"192.0.1.0",
	"192.0.3.0",
	"192.167.255.255",
	"192.169.0.0",
	"198.17.255.255",
	"198.20.0.0",
	"223.255.255.255",
	"::ffff:8.8.8.8",
	"64:ff9b::8.8.8.8",
	"2000::1",
	"2001:200::1",
	"2001:4860:4860::8888",
	"2001:db7::1",
	"2003::1",
	"2606:4700:4700::1111",
	"3ffe::1",
	"3fff:1000::1",
};

static const char *const special_ones[] = {
	/* IPv4, first and last of each block */
	"0.0.0.0",
	"0.255.255.255",
	"10.0.0.0",
	"10.255.255.255",
	"100.64.0.0",
	"100.100.100.200",
	"100.127.255.255",
	"127.0.0.1",
	"127.1.2.3",
	"127.255.255.255",
	"168.63.129.16",
	"169.254.0.0",
	"169.254.169.254",
	"169.254.170.2",
	"169.254.255.255",
	"172.16.0.0",
	"172.31.255.255",
	"192.0.0.1",
	"192.0.0.192",
	"192.0.2.1",
	"192.88.99.1",
	"192.168.0.0",
	"192.168.255.255",
	"198.18.0.0",
	"198.19.255.255",
	"198.51.100.7",
	"203.0.113.9",
	"224.0.0.1",
	"239.255.255.255",
	"240.0.0.1",
	"255.255.255.255",
	/* IPv6 of its own */
	"::",
	"::1",
	"100::1",
	"2001:2::1",
	"2001:10::1",
	"2001:20::1",
	"2001:1ff:ffff::1",
	"2001:db8::1",
	"3fff::1",
	"3fff:fff::1",
	"4000::1",
	"5f00::1",
	"fc00::1",
	"fd00:ec2::254",
	"fdff::1",
	"fe80::1",
	"fe80::a9fe:a9fe",
	"febf::1",
	"fec0::1",
	"ff02::1",
	"ff0e::1",
	/* IPv4 in disguise */
	"::ffff:127.0.0.1",
	"::ffff:7f00:1",
	"::ffff:10.0.0.1",
	"::ffff:169.254.169.254",
	"::ffff:192.168.1.1",
	"::ffff:0.0.0.0",
	"::127.0.0.1",
	"::8.8.8.8",
	"::ffff:0:127.0.0.1",
	"64:ff9b::127.0.0.1",
	"64:ff9b::a9fe:a9fe",
	"64:ff9b::10.1.2.3",
	"64:ff9b:1::8.8.8.8",
	"64:ff9b::1:8.8.8.8",
	"2001::1",
	"2001:0:7f00:1::",
	"2002:7f00:1::",
	"2002:a9fe:a9fe::1",
	"2002:808:808::1",
	"2606:4700::5efe:10.0.0.1",
	"2606:4700::200:5efe:127.0.0.1",
};

static const struct sockaddr *
address(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_port = htons(80) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(80) };

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
		memcpy(out, &v4, sizeof(v4));
	} else {
		assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
		memcpy(out, &v6, sizeof(v6));
	}
	return (const struct sockaddr *)out;
}

static void
test_public(void **state)
{
	struct sockaddr_storage s;

	(void)state;
	for (size_t i = 0; i < sizeof(public_ones) / sizeof(char *); i++) {
		if (!address_is_public(address(public_ones[i], &s)))
			fail_msg("%s is refused", public_ones[i]);
	}
}

static void
test_special(void **state)
{
	struct sockaddr_storage s;

	(void)state;
	for (size_t i = 0; i < sizeof(special_ones) / sizeof(char *); i++) {
		if (address_is_public(address(special_ones[i], &s)))
			fail_msg("%s passes", special_ones[i]);
	}
}

static void
test_other_family(void **state)
{
	struct sockaddr_storage s = { .ss_family = AF_UNIX };
	char text[64];
	char *bad;
	struct address_list *l = address_list_parse("0.0.0.0/0 ::/0", &bad);

	(void)state;
	assert_non_null(l);
	assert_false(address_allowed(l, (struct sockaddr *)&s));
	address_format((struct sockaddr *)&s, text, sizeof(text));
	assert_string_equal(text, "family 1");
	address_list_free(l);
}

static void
test_list(void **state)
{
	static const struct {
		const char *list;
		const char *address;
		bool allowed;
	} table[] = {
		{ "", "127.0.0.1", false },
		{ "", "8.8.8.8", true },
		{ "127.0.0.0/8", "127.0.0.1", true },
		{ "127.0.0.0/8", "::ffff:127.0.0.1", true },
		{ "127.0.0.0/8", "::1", false },
		{ "127.0.0.0/8", "64:ff9b::127.0.0.1", false },
		{ "127.0.0.0/8, ::1/128", "::1", true },
		{ "127.0.0.0/8 ::1", "::1", true },
		{ "10.1.2.3", "10.1.2.3", true },
		{ "10.1.2.3", "10.1.2.4", false },
		{ "10.1.2.3/31", "10.1.2.2", true },
		{ "10.1.2.128/25", "10.1.2.127", false },
		{ "10.1.2.128/25", "10.1.2.255", true },
		{ "0.0.0.0/0", "192.168.0.1", true },
		{ "0.0.0.0/0", "fe80::1", false },
		{ "::ffff:10.0.0.0/104", "10.9.9.9", true },
		{ "fd00::/8", "fd00:ec2::254", true },
		{ "fd00::/8", "fc00::1", false },
		{ "fc00::/7,,  10.0.0.0/8", "10.0.0.1", true },
	};
	struct sockaddr_storage s;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char *bad;
		struct address_list *l =
			address_list_parse(table[i].list, &bad);

		assert_non_null(l);
		if (address_allowed(l, address(table[i].address, &s)) !=
		    table[i].allowed)
			fail_msg("'%s' and %s", table[i].list,
				 table[i].address);
		address_list_free(l);
	}
}

static void
test_list_bad(void **state)
{
	static const char *const table[] = {
		"10.0.0.0/33",
		"::1/129",
		"10.0.0.0/",
		"10.0.0.0/+8",
		"10.0.0.0/8x",
		"10.0.0/8",
		"010.0.0.1",
		"localhost",
		"1",
		"10.0.0.0/-1",
		"[::1]",
		"/8",
		"10.0.0.0/8/8",
		"fe80::1%lo",
		"10.0.0.0/ 8",
		"::ffff:1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16/128",
	};
	char *bad;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (address_list_parse(table[i], &bad) != NULL)
			fail_msg("'%s' is taken", table[i]);
		assert_non_null(bad);
		free(bad);
	}
	assert_null(address_list_parse("10.0.0.0/8, nonsense, ::1", &bad));
	assert_string_equal(bad, "nonsense");
	free(bad);
}

static void
test_text(void **state)
{
	struct sockaddr_storage s;
	char text[64];
	char *bad;
	struct address_list *l = address_list_parse("10.0.0.0/8", &bad);

	(void)state;
	assert_true(address_list_has_text(l, "10.2.3.4"));
	assert_true(address_list_has_text(l, "::ffff:10.2.3.4"));
	assert_false(address_list_has_text(l, "11.2.3.4"));
	assert_false(address_list_has_text(l, "10.2.3.4:80"));
	assert_false(address_list_has_text(l, ""));
	assert_false(address_list_has_text(NULL, "10.2.3.4"));
	address_list_free(l);
	address_format(address("127.0.0.1", &s), text, sizeof(text));
	assert_string_equal(text, "127.0.0.1:80");
	address_format(address("::1", &s), text, sizeof(text));
	assert_string_equal(text, "[::1]:80");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_public),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_other_family),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_list_bad),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
