/*
 * An ALSA playback device for tests: runs in real time, remembers what a
 * listener would have heard, and breaks when told to.
 *
 * Keys in the ALSA configuration:
 *   heard   file that what was heard is appended to: 32 bit float, stereo
 *   log     file of events, one a line: "<monotonic ns> <frames heard> <event>"
 *   control file whose first word steers the device (read at every call):
 *           ok     plays
 *           busy   refuses to open, as if another program had it
 *           absent refuses to open with "no such file"; unplugs if open
 *           gone   refuses to open with "no such device"; unplugs if open
 *           perm   refuses to open for want of rights
 *           down   refuses to open as PipeWire's plugin does where no server runs
 *           eio    every operation fails
 *           stall  the clock stands still, without any error
 *           hang   no call returns, opening neither, until this is another word
 *   rate    the only rate the device takes (0 or absent: 44100 to 192000)
 *   format  the only format it takes (absent: all of the table below)
 *   speed   so many times faster than real time (absent: 1)
 *
 * "Heard" means that the play position has passed it: what is still in the
 * buffer when the device is stopped or unplugged was never heard. An unplugged
 * handle stays dead until it is closed, as with a real card. Only one program
 * at a time can have the device open, also as with a real card.
 */
#include <alsa/asoundlib.h>
#include <alsa/pcm_external.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define CHANNELS 2
#define TICK_NS 2000000 /* how often a waiting program is woken */

enum mood { OK, BUSY, ABSENT, GONE, PERM, EIO_ALWAYS, STALL, HANG, DOWN };

struct dac {
    snd_pcm_ioplug_t io;
    char *control;
    int heard_fd, log_fd, timer_fd;
    int64_t started_ns;
    int running, dead;
    int ran_dry;              /* until prepared again: every caller must hear of it */
    uint64_t written, played; /* frames since prepare */
    uint64_t heard_total;     /* frames in the file */
    double speed;
    char *ring;
    size_t frame_bytes;
    snd_pcm_uframes_t ring_frames;
};

static const unsigned int formats[] = {
    SND_PCM_FORMAT_S16_LE, SND_PCM_FORMAT_S24_3LE, SND_PCM_FORMAT_S24_LE,
    SND_PCM_FORMAT_S32_LE, SND_PCM_FORMAT_FLOAT_LE,
};

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static enum mood mood_now(const char *control)
{
    static const char *const words[] = { "ok", "busy", "absent", "gone", "perm", "eio", "stall", "hang", "down" };
    char word[16] = { 0 };
    int fd = control ? open(control, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return OK;
    if (read(fd, word, sizeof word - 1) < 0)
        word[0] = 0;
    close(fd);
    word[strcspn(word, " \r\n")] = 0;
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (!strcmp(word, words[i]))
            return i;
    return OK;
}

static enum mood mood(const char *control)
{
    enum mood m;
    while ((m = mood_now(control)) == HANG)
        usleep(5000);
    return m;
}

static void note(struct dac *d, const char *form, ...)
{
    char line[160];
    va_list args;
    int n = snprintf(line, sizeof line, "%lld %llu ", (long long)now_ns(), (unsigned long long)d->heard_total);
    va_start(args, form);
    n += vsnprintf(line + n, sizeof line - n - 1, form, args);
    va_end(args);
    if (n > (int)sizeof line - 2)
        n = sizeof line - 2;
    line[n++] = '\n';
    if (d->log_fd >= 0 && write(d->log_fd, line, n) < 0) { /* a test without a log */ }
}

/* 0, or why an open device cannot go on. */
static int trouble(struct dac *d, enum mood m)
{
    if (!d->dead && (m == GONE || m == ABSENT)) {
        d->dead = 1;
        note(d, "unplugged");
        snd_pcm_ioplug_set_state(&d->io, SND_PCM_STATE_DISCONNECTED);
    }
    if (d->dead)
        return -ENODEV;
    return m == EIO_ALWAYS ? -EIO : 0;
}

static float sample(const unsigned char *p, snd_pcm_format_t format)
{
    float f;
    switch (format) {
    case SND_PCM_FORMAT_S16_LE:
        return (int16_t)(p[0] | p[1] << 8) / 32768.0f;
    case SND_PCM_FORMAT_S24_3LE:
    case SND_PCM_FORMAT_S24_LE:
        return (int32_t)((uint32_t)p[0] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 24) / 2147483648.0f;
    case SND_PCM_FORMAT_S32_LE:
        return (int32_t)(p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24) / 2147483648.0f;
    default:
        memcpy(&f, p, sizeof f);
        return f;
    }
}

/* Moves the play position on, and what it passes into the file. */
static void hear(struct dac *d, uint64_t until)
{
    float block[256][CHANNELS];
    while (d->played < until) {
        size_t n = 0;
        for (; n < 256 && d->played < until; n++, d->played++) {
            const unsigned char *frame =
                (unsigned char *)d->ring + d->played % d->ring_frames * d->frame_bytes;
            for (int c = 0; c < CHANNELS; c++)
                block[n][c] = sample(frame + c * d->frame_bytes / CHANNELS, d->io.format);
        }
        d->heard_total += n;
        if (d->heard_fd >= 0 && write(d->heard_fd, block, n * sizeof *block) < 0)
            note(d, "capture-failed %s", strerror(errno));
    }
}

/* Lets time pass. 0, -EPIPE if the music ran out, or the trouble. */
static int advance(struct dac *d)
{
    enum mood m = mood(d->control);
    int bad = trouble(d, m);
    if (bad)
        return bad;
    if (d->ran_dry)
        return -EPIPE;
    if (!d->running)
        return 0;
    if (m == STALL) {
        d->started_ns = now_ns() - (int64_t)(d->played * 1e9 / d->io.rate / d->speed);
        return 0;
    }
    uint64_t due = (uint64_t)((now_ns() - d->started_ns) * (double)d->io.rate / 1e9 * d->speed);
    if (due > d->written) {
        hear(d, d->written);
        d->running = 0;
        d->ran_dry = 1;
        note(d, d->io.state == SND_PCM_STATE_DRAINING ? "drained" : "underrun");
        return -EPIPE;
    }
    hear(d, due);
    return 0;
}

static int dac_start(snd_pcm_ioplug_t *io)
{
    struct dac *d = io->private_data;
    int bad = trouble(d, mood(d->control));
    if (bad)
        return bad;
    d->started_ns = now_ns() - (int64_t)(d->played * 1e9 / io->rate / d->speed);
    d->running = 1;
    note(d, "start");
    return 0;
}

static int dac_stop(snd_pcm_ioplug_t *io)
{
    struct dac *d = io->private_data;
    if (d->running) {
        advance(d);
        d->running = 0;
        note(d, "stop unheard=%llu", (unsigned long long)(d->written - d->played));
    }
    return 0;
}

static snd_pcm_sframes_t dac_pointer(snd_pcm_ioplug_t *io)
{
    struct dac *d = io->private_data;
    int bad = advance(d);
    return bad ? bad : (snd_pcm_sframes_t)(d->played % io->buffer_size);
}

static snd_pcm_sframes_t dac_transfer(snd_pcm_ioplug_t *io, const snd_pcm_channel_area_t *areas,
                                      snd_pcm_uframes_t offset, snd_pcm_uframes_t size)
{
    struct dac *d = io->private_data;
    int bad = trouble(d, mood(d->control));
    if (bad)
        return bad;
    const char *from = (const char *)areas->addr + (areas->first + areas->step * offset) / 8;
    for (snd_pcm_uframes_t i = 0; i < size; i++)
        memcpy(d->ring + (d->written + i) % d->ring_frames * d->frame_bytes, from + i * d->frame_bytes,
               d->frame_bytes);
    d->written += size;
    return size;
}

static int dac_prepare(snd_pcm_ioplug_t *io)
{
    struct dac *d = io->private_data;
    struct itimerspec tick = { { 0, TICK_NS }, { 0, TICK_NS } };
    int bad = trouble(d, mood(d->control));
    if (bad)
        return bad;
    d->frame_bytes = snd_pcm_format_physical_width(io->format) / 8 * CHANNELS;
    d->ring_frames = io->buffer_size;
    free(d->ring);
    d->ring = calloc(d->ring_frames, d->frame_bytes);
    if (!d->ring)
        return -ENOMEM;
    d->written = d->played = 0;
    d->running = d->ran_dry = 0;
    timerfd_settime(d->timer_fd, 0, &tick, NULL);
    note(d, "prepare rate=%u format=%s period=%lu buffer=%lu", io->rate, snd_pcm_format_name(io->format),
         io->period_size, io->buffer_size);
    return 0;
}

static int dac_revents(snd_pcm_ioplug_t *io, struct pollfd *fds, unsigned int count, unsigned short *revents)
{
    struct dac *d = io->private_data;
    uint64_t ticks;
    int bad;
    (void)fds, (void)count;
    if (read(d->timer_fd, &ticks, sizeof ticks) < 0) { /* not due: polled without waiting */ }
    bad = advance(d);
    if (bad == -ENODEV)
        *revents = POLLERR | POLLHUP;
    else if (bad)
        *revents = POLLERR;
    else if (mood(d->control) == STALL)
        *revents = 0;
    else
        *revents = io->buffer_size - (d->written - d->played) >= io->period_size ? POLLOUT : 0;
    return 0;
}

static int dac_delay(snd_pcm_ioplug_t *io, snd_pcm_sframes_t *delay)
{
    struct dac *d = io->private_data;
    int bad = advance(d);
    *delay = d->written - d->played;
    return bad;
}

static void dac_free(struct dac *d)
{
    if (d->heard_fd >= 0)
        close(d->heard_fd);
    if (d->log_fd >= 0)
        close(d->log_fd);
    if (d->timer_fd >= 0)
        close(d->timer_fd);
    free(d->control);
    free(d->ring);
    free(d);
}

static int dac_close(snd_pcm_ioplug_t *io)
{
    struct dac *d = io->private_data;
    note(d, "close");
    dac_free(d);
    return 0;
}

static const snd_pcm_ioplug_callback_t callbacks = {
    .start = dac_start, .stop = dac_stop, .pointer = dac_pointer, .transfer = dac_transfer,
    .prepare = dac_prepare, .poll_revents = dac_revents, .delay = dac_delay, .close = dac_close,
};

static int refusal(enum mood m)
{
    switch (m) {
    case BUSY: return -EBUSY;
    case ABSENT: return -ENOENT;
    case GONE: return -ENODEV;
    case PERM: return -EACCES;
    case DOWN: return -EHOSTDOWN;
    case EIO_ALWAYS: return -EIO;
    default: return 0;
    }
}

static int limits(snd_pcm_ioplug_t *io, long rate, const char *format)
{
    /* Both kinds of access, or the plug layer cannot convert on top of us. */
    static const unsigned int access[] = { SND_PCM_ACCESS_RW_INTERLEAVED, SND_PCM_ACCESS_MMAP_INTERLEAVED };
    unsigned int one = format ? (unsigned int)snd_pcm_format_value(format) : 0;
    int e = snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_ACCESS, 2, access);
    if (!e)
        e = format ? snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT, 1, &one)
                   : snd_pcm_ioplug_set_param_list(io, SND_PCM_IOPLUG_HW_FORMAT,
                                                   sizeof formats / sizeof *formats, formats);
    if (!e)
        e = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_CHANNELS, CHANNELS, CHANNELS);
    if (!e)
        e = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_RATE, rate ? rate : 44100, rate ? rate : 192000);
    if (!e)
        e = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIOD_BYTES, 256, 1 << 18);
    if (!e)
        e = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_BUFFER_BYTES, 512, 1 << 20);
    if (!e)
        e = snd_pcm_ioplug_set_param_minmax(io, SND_PCM_IOPLUG_HW_PERIODS, 2, 64);
    return e;
}

static int open_file(const char *path)
{
    return path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
}

SND_PCM_PLUGIN_DEFINE_FUNC(fakedac)
{
    snd_config_iterator_t at, next;
    const char *heard = NULL, *log = NULL, *control = NULL, *format = NULL;
    long rate = 0, speed = 1;
    snd_config_for_each(at, next, conf) {
        snd_config_t *entry = snd_config_iterator_entry(at);
        const char *id;
        if (snd_config_get_id(entry, &id) < 0 || !strcmp(id, "comment") || !strcmp(id, "type") || !strcmp(id, "hint"))
            continue;
        int e = !strcmp(id, "heard")   ? snd_config_get_string(entry, &heard)
              : !strcmp(id, "log")     ? snd_config_get_string(entry, &log)
              : !strcmp(id, "control") ? snd_config_get_string(entry, &control)
              : !strcmp(id, "format")  ? snd_config_get_string(entry, &format)
              : !strcmp(id, "rate")    ? snd_config_get_integer(entry, &rate)
              : !strcmp(id, "speed")   ? snd_config_get_integer(entry, &speed)
                                       : -EINVAL;
        if (e < 0) {
            SNDERR("fakedac: cannot use the key %s", id);
            return e;
        }
    }
    if (stream != SND_PCM_STREAM_PLAYBACK)
        return -EINVAL;

    struct dac *d = calloc(1, sizeof *d);
    if (!d)
        return -ENOMEM;
    d->speed = speed > 0 ? speed : 1;
    d->control = control ? strdup(control) : NULL;
    d->heard_fd = open_file(heard);
    d->log_fd = open_file(log);
    d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    off_t end = d->heard_fd >= 0 ? lseek(d->heard_fd, 0, SEEK_END) : 0;
    d->heard_total = end > 0 ? end / (sizeof(float) * CHANNELS) : 0;

    int e = refusal(mood(control));
    if (!e && d->heard_fd >= 0 && flock(d->heard_fd, LOCK_EX | LOCK_NB) < 0)
        e = -EBUSY;
    if (e) {
        note(d, "refused %s", strerror(-e));
        dac_free(d);
        return e;
    }
    d->io.version = SND_PCM_IOPLUG_VERSION;
    d->io.name = "Fake DAC";
    d->io.poll_fd = d->timer_fd;
    d->io.poll_events = POLLIN;
    d->io.callback = &callbacks;
    d->io.private_data = d;
    note(d, "open");
    e = snd_pcm_ioplug_create(&d->io, name, stream, mode);
    if (e < 0) {
        dac_free(d);
        return e;
    }
    e = limits(&d->io, rate, format);
    if (e < 0) {
        snd_pcm_ioplug_delete(&d->io); /* closes, and so frees */
        return e;
    }
    *pcmp = d->io.pcm;
    return 0;
}

SND_PCM_PLUGIN_SYMBOL(fakedac);
