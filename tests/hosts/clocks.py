"""Processes whose wall clock is wrong, and no other clock: by a library that is loaded before all others. Needs `cc`."""

import shutil
import subprocess

COMPILER = shutil.which("cc")
_ERROR = "LANDER_TEST_CLOCK_ERROR_SECONDS"
_SOURCE = """
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long error;
__attribute__((constructor)) static void begin(void) { const char *text = getenv("%s"); error = text ? atol(text) : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += error;
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    int result = syscall(SYS_gettimeofday, now, zone);
    if (result == 0 && now) now->tv_sec += error;
    return result;
}
time_t time(time_t *now) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (now) *now = found.tv_sec;
    return found.tv_sec;
}
"""


def build(directory):
    """The library, in a directory."""
    source, library = directory / "wrong_clock.c", directory / "wrong_clock.so"
    source.write_text(_SOURCE % _ERROR)
    subprocess.run([COMPILER, "-O2", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


def wrong_by(library, seconds):
    """The environment variables of a process whose clock is wrong."""
    return {"LD_PRELOAD": str(library), _ERROR: str(seconds)}
