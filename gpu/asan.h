/* asan.h: WITH_ASAN where AddressSanitizer checks this build.  For gpu/ and the emulator. */
#ifndef WOODSHED_GPU_ASAN_H
#define WOODSHED_GPU_ASAN_H

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

#if defined(WITH_ASAN)
#include <sanitizer/asan_interface.h>
#endif

#endif
