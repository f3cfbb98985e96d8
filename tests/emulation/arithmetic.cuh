/* CUDA's vectors and arithmetic for kernel.cuh. */
#ifndef WOODSHED_EMULATED_ARITHMETIC_CUH
#define WOODSHED_EMULATED_ARITHMETIC_CUH

#define EMULATION_MAKE(type, name)                                                                 \
	static inline name##1 make_##name##1(type x)                                               \
	{                                                                                          \
		return name##1 {x};                                                                \
	}                                                                                          \
	static inline name##2 make_##name##2(type x, type y)                                       \
	{                                                                                          \
		return name##2 {x, y};                                                             \
	}                                                                                          \
	static inline name##3 make_##name##3(type x, type y, type z)                               \
	{                                                                                          \
		return name##3 {x, y, z};                                                          \
	}                                                                                          \
	static inline name##4 make_##name##4(type x, type y, type z, type w)                       \
	{                                                                                          \
		return name##4 {x, y, z, w};                                                       \
	}
EMULATION_MAKE(signed char, char)
EMULATION_MAKE(unsigned char, uchar)
EMULATION_MAKE(short, short)
EMULATION_MAKE(unsigned short, ushort)
EMULATION_MAKE(int, int)
EMULATION_MAKE(unsigned int, uint)
EMULATION_MAKE(long long, longlong)
EMULATION_MAKE(unsigned long long, ulonglong)
EMULATION_MAKE(float, float)
EMULATION_MAKE(double, double)
#undef EMULATION_MAKE

template <class To, class From> static inline To emulation_as(From from)
{
	static_assert(sizeof(To) == sizeof(From), "bits are kept");
	To to;

	__builtin_memcpy(&to, &from, sizeof(to));
	return to;
}
static inline unsigned __float_as_uint(float f)
{
	return emulation_as<unsigned>(f);
}
static inline int __float_as_int(float f)
{
	return emulation_as<int>(f);
}
static inline float __uint_as_float(unsigned u)
{
	return emulation_as<float>(u);
}
static inline float __int_as_float(int i)
{
	return emulation_as<float>(i);
}
static inline long long __double_as_longlong(double d)
{
	return emulation_as<long long>(d);
}
static inline double __longlong_as_double(long long i)
{
	return emulation_as<double>(i);
}

template <class A, class B> static inline std::common_type_t<A, B> min(A a, B b)
{
	using T = std::common_type_t<A, B>;
	return (T)b < (T)a ? (T)b : (T)a;
}
template <class A, class B> static inline std::common_type_t<A, B> max(A a, B b)
{
	using T = std::common_type_t<A, B>;
	return (T)b > (T)a ? (T)b : (T)a;
}

/* Rounded once; the host is compiled without contraction. */
#define EMULATION_ROUNDED(type, letter)                                                            \
	static inline type __##letter##add_rn(type a, type b)                                      \
	{                                                                                          \
		return a + b;                                                                      \
	}                                                                                          \
	static inline type __##letter##sub_rn(type a, type b)                                      \
	{                                                                                          \
		return a - b;                                                                      \
	}                                                                                          \
	static inline type __##letter##mul_rn(type a, type b)                                      \
	{                                                                                          \
		return a * b;                                                                      \
	}                                                                                          \
	static inline type __##letter##div_rn(type a, type b)                                      \
	{                                                                                          \
		return a / b;                                                                      \
	}
EMULATION_ROUNDED(float, f)
EMULATION_ROUNDED(double, d)
#undef EMULATION_ROUNDED
static inline float __fmaf_rn(float a, float b, float c)
{
	return fmaf(a, b, c);
}
static inline double __fma_rn(double a, double b, double c)
{
	return fma(a, b, c);
}
static inline float __frcp_rn(float x)
{
	return 1 / x;
}
static inline float __fsqrt_rn(float x)
{
	return sqrtf(x);
}
static inline float __fdividef(float a, float b)
{
	return a / b;
}
static inline float rsqrtf(float x)
{
	return (float)(1 / sqrt((double)x));
}
static inline double rsqrt(double x)
{
	return 1 / sqrt(x);
}
static inline float __saturatef(float x)
{
	return x > 0 ? x < 1 ? x : 1 : 0;
}
static inline float sinpif(float x)
{
	return (float)sin(3.14159265358979323846 * fmod((double)x, 2));
}
static inline float cospif(float x)
{
	return (float)cos(3.14159265358979323846 * fmod((double)x, 2));
}
static inline void sincospif(float x, float *s, float *c)
{
	*s = sinpif(x);
	*c = cospif(x);
}

static inline int __float2int_rn(float f)
{
	return (int)rintf(f);
}
static inline int __float2int_rz(float f)
{
	return (int)f;
}
static inline int __float2int_rd(float f)
{
	return (int)floorf(f);
}
static inline float __int2float_rn(int i)
{
	return (float)i;
}
static inline float __uint2float_rn(unsigned u)
{
	return (float)u;
}
static inline float __double2float_rn(double d)
{
	return (float)d;
}

static inline int __popc(unsigned u)
{
	return __builtin_popcount(u);
}
static inline int __popcll(unsigned long long u)
{
	return __builtin_popcountll(u);
}
static inline int __ffs(int i)
{
	return __builtin_ffs(i);
}
static inline int __clz(int i)
{
	return i ? __builtin_clz((unsigned)i) : 32;
}
static inline int __clzll(long long i)
{
	return i ? __builtin_clzll((unsigned long long)i) : 64;
}
static inline unsigned __brev(unsigned u)
{
	unsigned r = 0;

	for (int i = 0; i < 32; i++)
		r |= (u >> i & 1) << (31 - i);
	return r;
}
static inline unsigned __umulhi(unsigned a, unsigned b)
{
	return (unsigned)((uint64_t)a * b >> 32);
}
static inline int __mulhi(int a, int b)
{
	return (int)((int64_t)a * b >> 32);
}
static inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b)
{
	return (unsigned long long)((unsigned __int128)a * b >> 64);
}
static inline int __dp4a(int a, int b, int c)
{
	for (int i = 0; i < 32; i += 8)
		c += (int)(int8_t)(a >> i) * (int)(int8_t)(b >> i);
	return c;
}
/* Each nibble of s picks one of the eight bytes of a (0 to 3) and b (4 to 7). */
static inline unsigned __byte_perm(unsigned a, unsigned b, unsigned s)
{
	const uint64_t bytes = (uint64_t)b << 32 | a;
	unsigned r = 0;

	for (int i = 0; i < 4; i++) {
		const unsigned pick = s >> 4 * i & 0xf;
		unsigned byte = (unsigned)(bytes >> 8 * (pick & 7)) & 0xff;
		if (pick & 8)
			byte = byte & 0x80 ? 0xff : 0;
		r |= byte << 8 * i;
	}
	return r;
}
static inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned n)
{
	return (unsigned)(((uint64_t)high << 32 | low) << (n & 31) >> 32);
}
static inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned n)
{
	return (unsigned)(((uint64_t)high << 32 | low) >> (n & 31));
}

#endif
