# Runs PostgreSQL for as long as its owner lives, and again should it die before that.
# Arguments: the data folder, the socket's folder, the server's command line.
# Standard input: a pipe that only the owner holds open. Standard output: the locked file that the server inherits.
data=$1 sockets=$2
shift 2
# A shell gives its background jobs an empty standard input: keep the pipe elsewhere.
exec 3<&0 </dev/null

# Every process of the server inherits the writing end of this one, so that it ends with the last of them: after a hard
# kill, a new server must not meet what is left of the old one.
alive=$sockets/alive
rm -f "$alive"
mkfifo -m 600 "$alive" || exit 1

ended='' refusals=0
trap 'ended=yes' USR1
while [ -z "$ended" ] && [ "$refusals" -lt 3 ]; do
    rm -f "$data/postmaster.pid" "$sockets"/.s.PGSQL.*
    "$@" <&1 >"$alive" 3<&- &
    server=$!
    # Interrupts ask for a fast shutdown. They are repeated because a server that has only just begun ignores them.
    {
        read -r _
        kill -USR1 $$
        while kill -INT "$server"; do sleep 0.1; done
    } <&3 >/dev/null 2>&1 &
    watcher=$!
    cat "$alive" >/dev/null
    kill "$watcher" 2>/dev/null
    wait "$server"
    # A server that leaves with an error cannot run at all, and the log says why. Whatever else ended it was an accident.
    status=$?
    if [ "$status" -gt 0 ] && [ "$status" -lt 128 ]; then refusals=$((refusals + 1)); else refusals=0; fi
    [ -n "$ended" ] || sleep 0.3
done
rm -f "$alive"
[ -n "$ended" ]
