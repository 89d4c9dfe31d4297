#!/usr/bin/env bash
# A new model every night, from the log and the events of the service. It is served only if it is good enough.
#
#     nightly.sh LOG RUNS [STORE [URL]]
#
# LOG     the log so far: a CSV file with the columns user_id, item_id and timestamp, in seconds
# RUNS    a folder for runs, of which RUNS/live is served; RUNS/previous is the one before
# STORE   what `caser serve --store` got, to learn from the events too
# URL     the address of the service, to load the new run at once; not needed with `caser serve --watch`
# TRAIN   (environment) further words for `caser train`
# UPDATE  (environment) 1 trains the served run further on what is new, instead of a new run; the first night trains
# MARGIN  (environment) the share of the served model's NDCG@10 that a new model may lose; 0.05 if it is not set
#
# An interaction that is in LOG and in the store counts once. One job at a time works in RUNS.
#
# Exit code 0: RUNS/live is new. 12: it is new, but the service at URL did not load it. 11: the new model is not shown to
# be good enough. Anything else: a step failed. Unless it is 0 or 12, RUNS/live is as it was.
set -euo pipefail
if (($# < 2)); then
    echo "nightly: type nightly.sh LOG RUNS [STORE [URL]]; the first lines of this file say what they are." >&2
    exit 2
fi
log=$1 runs=$2 store=${3:-} url=${4:-}

mkdir -p "$runs"
exec 9>"$runs/.nightly.lock"
if ! flock --nonblock 9; then
    echo "nightly: another job works in $runs; wait until it has ended." >&2
    exit 2
fi

sed -e '$a\' "$log" >"$runs/log.csv" # with an end of line at its end
if [[ -n $store ]]; then
    caser data events "$store" --out "$runs/events.csv"
    header() { head -n 1 "$1" | tr -d '\r"' | sed 's/^\xef\xbb\xbf//'; }
    if [[ $(header "$log") != $(header "$runs/events.csv") ]]; then
        echo "nightly: $log must begin with the line $(header "$runs/events.csv"); got $(header "$log")." >&2
        exit 3
    fi
    tail -n +2 "$runs/events.csv" >>"$runs/log.csv"
fi

if [[ ${UPDATE:-0} == 1 && -d $runs/live ]]; then
    caser update "$runs/live" "$runs/log.csv" --out "$runs/tonight"
    ship=(update "$runs/tonight" --all)
else
    # shellcheck disable=SC2086  # several words
    caser train "$runs/log.csv" --drop-duplicates --out "$runs/tonight" ${TRAIN:-}
    ship=(refit "$runs/tonight")
fi
if [[ -d $runs/live ]]; then
    caser promote "$runs/tonight" --over "$runs/live" --margin "${MARGIN:-0.05}"
fi
if [[ -d $runs/live ]]; then # kept until the next night, to go back
    rm -rf "$runs/previous.new"
    cp -R "$runs/live" "$runs/previous.new"
fi
caser "${ship[@]}" --out "$runs/live"
if [[ -d $runs/previous.new ]]; then
    rm -rf "$runs/previous"
    mv "$runs/previous.new" "$runs/previous"
fi
if [[ -n $url ]]; then
    curl --fail --silent --show-error --request POST "$url/v1/model/reload" || exit 12
fi
