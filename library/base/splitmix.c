/* SplitMix64. */
#include "library/base/splitmix.h"

uint64_t splitmix64(uint64_t state)
{
	uint64_t z = state + SPLITMIX_STEP;

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}
