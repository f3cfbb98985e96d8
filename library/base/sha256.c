/* SHA-256, as FIPS 180-4 section 6.2 writes it, and by the processor's own
 * instructions where it has them (five times as fast). */
#include "library/base/sha256.h"

#include <stdbool.h>
#include <string.h>

#ifdef __x86_64__
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t K[64] = {
	0x428a2f98,
	0x71374491,
	0xb5c0fbcf,
	0xe9b5dba5,
	0x3956c25b,
	0x59f111f1,
	0x923f82a4,
	0xab1c5ed5,
	0xd807aa98,
	0x12835b01,
	0x243185be,
	0x550c7dc3,
	0x72be5d74,
	0x80deb1fe,
	0x9bdc06a7,
	0xc19bf174,
	0xe49b69c1,
	0xefbe4786,
	0x0fc19dc6,
	0x240ca1cc,
	0x2de92c6f,
	0x4a7484aa,
	0x5cb0a9dc,
	0x76f988da,
	0x983e5152,
	0xa831c66d,
	0xb00327c8,
	0xbf597fc7,
	0xc6e00bf3,
	0xd5a79147,
	0x06ca6351,
	0x14292967,
	0x27b70a85,
	0x2e1b2138,
	0x4d2c6dfc,
	0x53380d13,
	0x650a7354,
	0x766a0abb,
	0x81c2c92e,
	0x92722c85,
	0xa2bfe8a1,
	0xa81a664b,
	0xc24b8b70,
	0xc76c51a3,
	0xd192e819,
	0xd6990624,
	0xf40e3585,
	0x106aa070,
	0x19a4c116,
	0x1e376c08,
	0x2748774c,
	0x34b0bcb5,
	0x391c0cb3,
	0x4ed8aa4a,
	0x5b9cca4f,
	0x682e6ff3,
	0x748f82ee,
	0x78a5636f,
	0x84c87814,
	0x8cc70208,
	0x90befffa,
	0xa4506ceb,
	0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotr(uint32_t x, int n)
{
	return x >> n | x << (32 - n);
}

static uint32_t load_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void compress_block(uint32_t hash[8], const uint8_t block[64])
{
	uint32_t w[64];
	uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3];
	uint32_t e = hash[4], f = hash[5], g = hash[6], h = hash[7];

	for (int t = 0; t < 16; t++)
		w[t] = load_be32(block + 4 * t);
	for (int t = 16; t < 64; t++) {
		uint32_t x = w[t - 15], y = w[t - 2];
		w[t] = w[t - 16] + w[t - 7] + (rotr(x, 7) ^ rotr(x, 18) ^ x >> 3) +
		       (rotr(y, 17) ^ rotr(y, 19) ^ y >> 10);
	}
	for (int t = 0; t < 64; t++) {
		uint32_t t1 = h + (rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25)) + ((e & f) ^ (~e & g)) +
			      K[t] + w[t];
		uint32_t t2 =
			(rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
		h = g;
		g = f;
		f = e;
		e = d + t1;
		d = c;
		c = b;
		b = a;
		a = t1 + t2;
	}
	hash[0] += a;
	hash[1] += b;
	hash[2] += c;
	hash[3] += d;
	hash[4] += e;
	hash[5] += f;
	hash[6] += g;
	hash[7] += h;
}

static void compress_plainly(uint32_t hash[8], const uint8_t *p, size_t n_blocks)
{
	for (; n_blocks; n_blocks--, p += 64)
		compress_block(hash, p);
}

#ifdef __x86_64__
/* Intel SDM volume 2, SHA256RNDS2, SHA256MSG1, SHA256MSG2: the state is kept as
 * ABEF and CDGH, two rounds at a time; m holds the last 16 words of the schedule. */
__attribute__((target("sha,sse4.1"))) static void compress_by_instruction(
	uint32_t hash[8], const uint8_t *p, size_t n_blocks)
{
	const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
	const __m128i badc =
		_mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)hash), 0xb1);
	const __m128i hgfe =
		_mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(const void *)(hash + 4)), 0x1b);
	__m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
	__m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);

	for (; n_blocks; n_blocks--, p += 64) {
		const __m128i abef_before = abef, cdgh_before = cdgh;
		__m128i m[4];

		for (int i = 0; i < 4; i++)
			m[i] = _mm_shuffle_epi8(
				_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)),
				big_endian);
		for (int i = 0; i < 16; i++) {
			const __m128i *k = (const __m128i *)(const void *)(K + 4 * i);
			const __m128i sum = _mm_add_epi32(m[i % 4], _mm_loadu_si128(k));

			cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
			abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
			if (i >= 12)
				continue;
			const __m128i w_7 = _mm_alignr_epi8(m[(i + 3) % 4], m[(i + 2) % 4], 4);
			m[i % 4] = _mm_sha256msg1_epu32(m[i % 4], m[(i + 1) % 4]);
			m[i % 4] =
				_mm_sha256msg2_epu32(_mm_add_epi32(m[i % 4], w_7), m[(i + 3) % 4]);
		}
		abef = _mm_add_epi32(abef, abef_before);
		cdgh = _mm_add_epi32(cdgh, cdgh_before);
	}
	const __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
	_mm_storeu_si128((__m128i *)(void *)hash, _mm_blend_epi16(feba, dchg, 0xf0));
	_mm_storeu_si128((__m128i *)(void *)(hash + 4), _mm_alignr_epi8(dchg, feba, 8));
}

static bool has_instructions(void)
{
	unsigned a, b, c, d;
	const bool sse41 = __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1) && (c & bit_SSSE3);

	return sse41 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}
#else
#define compress_by_instruction compress_plainly

static bool has_instructions(void)
{
	return false;
}
#endif

static void compress(const struct sha256 *s, uint32_t hash[8], const uint8_t *p, size_t n_blocks)
{
	(s->is_quick ? compress_by_instruction : compress_plainly)(hash, p, n_blocks);
}

void sha256_init_plain(struct sha256 *s)
{
	*s = (struct sha256){.h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
				     0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha256_init(struct sha256 *s)
{
	sha256_init_plain(s);
	s->is_quick = has_instructions();
}

void sha256_add(struct sha256 *s, const void *data, size_t n)
{
	const uint8_t *p = data;
	size_t used = s->n % 64;

	s->n += n;
	if (used) {
		size_t k = n < 64 - used ? n : 64 - used;
		memcpy(s->block + used, p, k);
		p += k;
		n -= k;
		if (used + k < 64)
			return;
		compress(s, s->h, s->block, 1);
	}
	compress(s, s->h, p, n / 64);
	p += n / 64 * 64;
	n %= 64;
	if (n)
		memcpy(s->block, p, n);
}

void sha256_end(struct sha256 *s, uint8_t out[32])
{
	static const uint8_t pad[64] = {0x80};
	uint64_t bits = s->n * 8;
	uint8_t length[8];

	sha256_add(s, pad, 1 + (119 - s->n % 64) % 64);
	store_be32(length, (uint32_t)(bits >> 32));
	store_be32(length + 4, (uint32_t)bits);
	sha256_add(s, length, sizeof length);
	for (int i = 0; i < 8; i++)
		store_be32(out + 4 * i, s->h[i]);
}

void sha256_hex(struct sha256 *s, char out[65])
{
	uint8_t digest[32];

	sha256_end(s, digest);
	for (int i = 0; i < 32; i++) {
		out[2 * i] = "0123456789abcdef"[digest[i] >> 4];
		out[2 * i + 1] = "0123456789abcdef"[digest[i] & 15];
	}
	out[64] = '\0';
}
