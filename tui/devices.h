/* devices.h: PortAudio's start, and the devices with an output that it finds.  For the
 * one thread that calls PortAudio. */
#ifndef WOODSHED_TUI_DEVICES_H
#define WOODSHED_TUI_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

enum {
	DEVICES_MAX = 256,
	DEVICE_NAME_SIZE = 128,
	DEVICE_WHY_SIZE = 256,
};

struct device {
	int index; /* PortAudio's */
	char name[DEVICE_NAME_SIZE], host[32];
	int channels;
	double rate_hz; /* its own */
	bool is_default;
};

struct device_list {
	struct device devices[DEVICES_MAX];
	size_t n;
};

/* Starts PortAudio, which looks for devices only then: false, and why, as a sentence
 * without its end.  Ended by Pa_Terminate(). */
bool devices_start(char why[DEVICE_WHY_SIZE]);

/* What there is since devices_start(). */
void devices_read(struct device_list *ret);

/* The device that a word means (player_choose() says how): NULL, and why. */
const struct device *devices_find(
	const struct device_list *list, const char *name, char why[DEVICE_WHY_SIZE]);

/* What PortAudio, or the system behind it, says of the call that failed last with
 * `code`; valid until the next call. */
const char *devices_failure(int code);

#endif
