#!/bin/sh
# Before anything of a new version starts: its tables, its static files, and a place for uploads on their way in.
set -eu
mkdir -p /data/tmp
# What requests that were cut off have left; none lasts a day.
find /data/tmp -mindepth 1 -mtime +1 -delete
python3 manage.py migrate --no-input
python3 manage.py collectstatic --no-input --verbosity 0
