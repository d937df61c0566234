#!/bin/sh
# Trains one model on one core: train.sh NAME DIRECTORY [options of train.py].
# glibc gives large blocks back to the kernel by default, and fetching them anew took half of the time of a step.
export OPENBLAS_NUM_THREADS=1 MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8589934592 MALLOC_TOP_PAD_=268435456
exec /usr/bin/python3 "$(dirname "$0")/train.py" "$@"
