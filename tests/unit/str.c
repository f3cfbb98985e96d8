/* Strings, UTF-8, strict parsing, sizes in words, SHA-256. */
#include "library/base/str.h"

#include <math.h>
#include <string.h>

#include "library/base/sha1.h"
#include "library/base/sha256.h"
#include "tests/unit/scratch.h"

static void buffers_grow(void **state)
{
	struct str b = {0};

	assert_string_equal(str_get(&b), "");
	str_clear(&b);
	str_add_n(&b, NULL, 0);
	assert_string_equal(str_get(&b), "");
	str_add(&b, "abc");
	str_add_char(&b, 'd');
	str_add_n(&b, "e\0f", 3);
	assert_int_equal(b.n, 7);
	assert_memory_equal(b.s, "abcde\0f", 8);
	str_clear(&b);
	for (int i = 0; i < 1000; i++)
		str_printf(&b, "%03d", i);
	assert_int_equal(b.n, 3000);
	assert_int_equal(strlen(b.s), 3000);
	assert_string_equal(b.s + 2997, "999");
	str_done(&b);
	assert_null(b.s);
}

static void prefix_and_suffix(void **state)
{
	assert_true(has_prefix("abc", "ab"));
	assert_true(has_prefix("abc", ""));
	assert_false(has_prefix("a", "ab"));
	assert_true(has_suffix("a.wav", ".wav"));
	assert_true(has_suffix("", ""));
	assert_false(has_suffix("wav", ".wav"));
}

static void every_code_point_round_trips(void **state)
{
	for (uint32_t cp = 0; cp <= 0x10ffff; cp++) {
		char s[4];
		uint32_t back;
		size_t n = utf8_encode(cp, s);
		uint32_t want = cp >= 0xd800 && cp < 0xe000 ? 0xfffd : cp;
		if (utf8_decode(s, n, &back) != n || back != want)
			fail_msg("U+%04X", cp);
		/* cut short it is invalid, and costs one byte */
		if (n > 1 && (utf8_decode(s, n - 1, &back) != 1 || back != 0xfffd))
			fail_msg("U+%04X cut", cp);
	}
	assert_int_equal(utf8_encode(0x110000, (char[4]){0}), 3); /* U+FFFD */
}

static void invalid_utf8_costs_one_byte(void **state)
{
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80",
		"\xe0\x9f\xbf", "\xf0\x80\x80\x80", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80",
		"\xed\xbf\xbf", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xfe", "\xff", "\xc3",
		"\xc3(", "\xe2\x82", "\xe2(\xac", "\xf0\x9f\x98", "\xf0\x9f(\x80"};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		uint32_t cp = 0;
		assert_int_equal(utf8_decode(bad[i], strlen(bad[i]), &cp), 1);
		assert_int_equal(cp, 0xfffd);
		assert_false(is_utf8(bad[i], strlen(bad[i])));
	}
	assert_true(is_utf8("", 0));
	assert_true(is_utf8("a\0\xef\xbf\xbd", 5)); /* a real U+FFFD is valid */
}

static void control_characters_are_replaced(void **state)
{
	char s[] = "a\x1b[0m\r\n\t\x7f\xc2\x80\xc2\x9f\xc2\xa0\x90 \xe6\x97\xa5\xe6\x97";

	str_sanitize(s);
	assert_string_equal(s, "a?[0m????????\xc2\xa0? \xe6\x97\xa5??");
}

static void integers(void **state)
{
	static const char *const bad_unsigned[] = {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1e3",
		"18446744073709551616", "99999999999999999999999", "\xd9\xa1"};
	static const char *const bad_signed[] = {"", "-", "--1", "+1", " 1", "1 ",
		"9223372036854775808", "-9223372036854775809", "1_0"};
	uint64_t u = 7;
	int64_t i = 7;

	for (size_t k = 0; k < sizeof bad_unsigned / sizeof *bad_unsigned; k++)
		assert_false(parse_u64(bad_unsigned[k], &u));
	for (size_t k = 0; k < sizeof bad_signed / sizeof *bad_signed; k++)
		assert_false(parse_i64(bad_signed[k], &i));
	assert_int_equal(u, 7); /* untouched */
	assert_int_equal(i, 7);
	assert_true(parse_u64("18446744073709551615", &u) && u == UINT64_MAX);
	assert_true(parse_u64("007", &u) && u == 7);
	assert_true(parse_i64("9223372036854775807", &i) && i == INT64_MAX);
	assert_true(parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
	assert_true(parse_i64("-0", &i) && i == 0);
}

static void decimals(void **state)
{
	static const char *const bad[] = {"", "-", ".", "+.", " 1", "1 ", "1,5", "1.5.", "1e",
		"1e+", "e3", "0x10", "inf", "nan", "infinity", "1e400", "-1e999999999", "1f",
		"1..2"};
	double v = 7;

	for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
		if (parse_f64(bad[k], &v))
			fail_msg("'%s' parsed", bad[k]);
	}
	assert_true(v == 7);
	assert_true(parse_f64("1.5", &v) && v == 1.5);
	assert_true(parse_f64("-.5e1", &v) && v == -5);
	assert_true(parse_f64("+5.", &v) && v == 5);
	assert_true(parse_f64("0.1", &v) && v == 0.1);
	assert_true(parse_f64("1e-400", &v) && v == 0);
	assert_true(parse_f64("17976931348623157e292", &v) && isfinite(v));
}

static void spans(void **state)
{
	static const char *const bad[] = {"", "-", "1", "1-", "-2", "2-1", "1-1", "-1-2", "1--2",
		"1-2-3", "1 - 2", "a-b", "1-inf", "nan-2", "1:00-2:00",
		"0000000000000000000000000000000000000000000000000000000000000000-1"};
	double from = 7, to = 7;

	for (size_t k = 0; k < sizeof(bad) / sizeof(*bad); k++)
		assert_false(parse_span(bad[k], &from, &to));
	assert_true(from == 7 && to == 7);
	assert_true(parse_span("1.5-4", &from, &to) && from == 1.5 && to == 4);
	assert_true(parse_span("0-.25", &from, &to) && from == 0 && to == 0.25);
}

static void sizes_in_words(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0 B"}, {999, "999 B"}, {1000, "1.0 kB"}, {3149, "3.1 kB"},
		{3150, "3.2 kB"}, {99949, "99.9 kB"}, {99950, "100 kB"}, {512000000, "512 MB"},
		{999499, "999 kB"}, {999500, "1.0 MB"}, {13700000000, "13.7 GB"},
		{999499999, "999 MB"}, {999500000, "1.0 GB"}, {1000000000000, "1.0 TB"},
		{UINT64_MAX, "18.4 EB"}};
	char out[16];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_string_equal(format_bytes(cases[i].bytes, out), cases[i].text);
}

static void expect_sha(const char *data, size_t n, size_t step, const char *want)
{
	struct sha256 s, plain;
	char hex[65];

	sha256_init(&s);
	sha256_init_plain(&plain);
	for (size_t i = 0; i < n; i += step) {
		sha256_add(&s, data + i, n - i < step ? n - i : step);
		sha256_add(&plain, data + i, n - i < step ? n - i : step);
	}
	sha256_hex(&s, hex);
	assert_string_equal(hex, want);
	sha256_hex(&plain, hex);
	assert_string_equal(hex, want);
}

/* The vectors of FIPS 180-4's examples, in pieces of many sizes. */
static void sha256_vectors(void **state)
{
	static const char long_text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	static char million[1000000];

	expect_sha("", 0, 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	expect_sha("abc", 3, 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	for (size_t step = 1; step < 70; step++)
		expect_sha(long_text, sizeof long_text - 1, step,
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(million, 'a', sizeof million);
	for (size_t step = 997; step < 1000000; step *= 7)
		expect_sha(million, sizeof million, step,
			"cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

static void expect_sha1(const char *data, size_t n, size_t step, const char *want)
{
	struct sha1 s;
	char hex[41];

	sha1_init(&s);
	for (size_t i = 0; i < n; i += step)
		sha1_add(&s, data + i, n - i < step ? n - i : step);
	sha1_hex(&s, hex);
	assert_string_equal(hex, want);
}

/* FIPS 180-4's examples, and lengths around the padding's (from sha1sum). */
static void sha1_vectors(void **state)
{
	static const char long_text[] = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
	static char million[1000000], zero[64];

	expect_sha1("", 0, 1, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	expect_sha1("abc", 3, 3, "a9993e364706816aba3e25717850c26c9cd0d89d");
	for (size_t step = 1; step < 70; step++)
		expect_sha1(long_text, sizeof long_text - 1, step,
			"84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	memset(million, 'a', sizeof million);
	expect_sha1(million, sizeof million, 997, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	expect_sha1(zero, 55, 7, "8e8832c642a6a38c74c17fc92ccedc266c108e6c");
	expect_sha1(zero, 56, 7, "9438e360f578e12c0e0e8ed28e2c125c1cefee16");
	expect_sha1(zero, 63, 7, "0b8bf9fc37ad802cefa6733ec62b09d5f43a1b75");
	expect_sha1(zero, 64, 7, "c8d7d0ef0eedfa82d2ea1aa592845b9a6d4b02b7");
}

/* One block and two of padding: lengths around 55, 56, 64 bytes. */
static void sha256_padding(void **state)
{
	static const char zero[128];
	struct sha256 s;
	char hex[65];

	sha256_init(&s);
	for (size_t n = 0; n < 128; n++) {
		struct sha256 inner;
		sha256_init(&inner);
		sha256_add(&inner, zero, n);
		sha256_hex(&inner, hex);
		sha256_add(&s, hex, 64);
	}
	sha256_hex(&s, hex);
	assert_string_equal(
		hex, "44b97b835618c1268bc68d5501529dfb9c5a6618fed11e3b0bf027bb7c00d789");
}

static void shortest_decimals(void **state)
{
	static const struct {
		double v;
		const char *text;
	} all[] = {{0, "0"}, {0.1, "0.1"}, {1.1, "1.1"}, {-2.5, "-2.5"}, {123456789, "123456789"},
		{0.1 + 0.2, "0.30000000000000004"}, {1e300, "1e+300"}};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		char out[32];
		double back;

		assert_string_equal(format_f64(all[i].v, out), all[i].text);
		assert_true(parse_f64(out, &back) && back == all[i].v);
	}
}

static void durations_in_words(void **state)
{
	static const struct {
		double s;
		const char *text;
	} cases[] = {{0, "0:00"}, {-1, "0:00"}, {59.99, "0:59"}, {60, "1:00"}, {754, "12:34"},
		{3599.9, "59:59"}, {3600, "1:00:00"}, {1e300, "999:59:59"}, {NAN, "0:00"},
		{INFINITY, "999:59:59"}};
	char out[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(format_duration(cases[i].s, out), cases[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffers_grow),
		cmocka_unit_test(prefix_and_suffix),
		cmocka_unit_test(every_code_point_round_trips),
		cmocka_unit_test(invalid_utf8_costs_one_byte),
		cmocka_unit_test(control_characters_are_replaced),
		cmocka_unit_test(integers),
		cmocka_unit_test(decimals),
		cmocka_unit_test(spans),
		cmocka_unit_test(shortest_decimals),
		cmocka_unit_test(sizes_in_words),
		cmocka_unit_test(durations_in_words),
		cmocka_unit_test(sha1_vectors),
		cmocka_unit_test(sha256_vectors),
		cmocka_unit_test(sha256_padding),
	};
	return RUN_TAP(tests);
}
