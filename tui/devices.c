/* PortAudio's start, and what devices it finds. */
#include "tui/devices.h"

#include <alsa/asoundlib.h>
#include <portaudio.h>
#include <stdio.h>
#include <string.h>

/* PortAudio 19.6 asserts, and so ends the whole program, that at least one name of
 * ALSA's configuration is left after it has tried all but `default` and `dmix`
 * (BuildDeviceList() in pa_linux_alsa.c): not so when the configuration is empty, as in
 * a container without libasound2-data, or names only devices that open.  A `default` that
 * leads nowhere keeps the promise, is never listed, and leaves JACK alone.  ALSA's
 * configuration lives until Pa_Terminate(). */
static void name_a_default(void)
{
	static const char text[] = "pcm.default woodshed_nowhere\n";
	snd_config_t *found;
	snd_input_t *in;

	if (snd_config_update() < 0 || !snd_config)
		return; /* PortAudio says so */
	if (!snd_config_search(snd_config, "pcm.default", &found) ||
		!snd_config_search(snd_config, "pcm.dmix", &found))
		return;
	if (snd_input_buffer_open(&in, text, sizeof(text) - 1) < 0)
		return;
	snd_config_load(snd_config, in);
	snd_input_close(in);
}

bool devices_start(char why[DEVICE_WHY_SIZE])
{
	PaError rc;

	name_a_default();
	rc = Pa_Initialize();
	if (rc)
		snprintf(why, DEVICE_WHY_SIZE, "the audio system does not start (%.100s)",
			devices_failure(rc));
	return !rc;
}

void devices_read(struct device_list *ret)
{
	PaDeviceIndex first = Pa_GetDefaultOutputDevice();

	ret->n = 0;
	for (PaDeviceIndex i = 0; i < Pa_GetDeviceCount() && ret->n < DEVICES_MAX; i++) {
		const PaDeviceInfo *info = Pa_GetDeviceInfo(i);
		const PaHostApiInfo *host = info ? Pa_GetHostApiInfo(info->hostApi) : NULL;
		struct device *d = &ret->devices[ret->n];

		if (!info || info->maxOutputChannels < 1)
			continue;
		*d = (struct device){.index = i,
			.channels = info->maxOutputChannels,
			.rate_hz = info->defaultSampleRate,
			.is_default = i == first};
		snprintf(d->name, sizeof(d->name), "%s", info->name);
		snprintf(d->host, sizeof(d->host), "%s", host ? host->name : "");
		ret->n++;
	}
}

const struct device *devices_find(
	const struct device_list *list, const char *name, char why[DEVICE_WHY_SIZE])
{
	const struct device *found = NULL;

	snprintf(why, DEVICE_WHY_SIZE, "no audio device is there");
	for (const struct device *d = list->devices; d < list->devices + list->n; d++)
		if (*name ? !strcmp(d->name, name) : d->is_default)
			return d;
	if (!*name)
		return NULL;
	snprintf(why, DEVICE_WHY_SIZE, "no audio device is called '%.100s'", name);
	for (const struct device *d = list->devices; d < list->devices + list->n; d++) {
		if (!strcasestr(d->name, name))
			continue;
		if (found) {
			snprintf(why, DEVICE_WHY_SIZE,
				"'%.60s' may be the audio device '%.60s' or '%.60s'", name,
				found->name, d->name);
			return NULL;
		}
		found = d;
	}
	return found;
}

const char *devices_failure(int code)
{
	const PaHostErrorInfo *host = Pa_GetLastHostErrorInfo();

	return code == paUnanticipatedHostError && host && host->errorText && *host->errorText
		       ? host->errorText
		       : Pa_GetErrorText(code);
}
