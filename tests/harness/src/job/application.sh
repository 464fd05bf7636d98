#!/bin/sh
# The main container of the Job: logs to a shared folder, fails in the end, and leaves the flag
# file whatever its own exit status is.
#   application.sh FOLDER LINES PAUSE
folder=$1
(
    n=1
    while [ "$n" -le "$2" ]; do
        echo "order $n: user$n@example.com pays with 4012 8888 8888 1881" >> "$folder/app.log"
        sleep "$3"
        n=$((n + 1))
    done
    exit 3
)
echo "application: exit status $?"
touch "$folder/completion-flag"
