#!/usr/bin/env bash
# Shows the main job in a simulated dom0 with two qubes: what works, what is
# refused, and the record of it. Everything lives in one folder below /tmp and
# is gone at the end, processes included.
# shellcheck disable=SC2016,SC2317 # scripts for other shells; functions that show calls
set -euo pipefail
cd "$(dirname "$0")/../.."

world=$(mktemp -d /tmp/qvm-remote-demo.XXXXXX)
export SIM_WORLD=$world/sim
bin=$PWD/bin
sim=$world/qubes-sim
daemon=

finish() {
	local code=$?
	trap - EXIT
	[[ -z $daemon ]] || { kill "$daemon" && wait "$daemon"; } 2>/dev/null || true
	[[ ! -x $sim ]] || "$sim" down >/dev/null 2>&1 || true
	if ((code != 0 && code != 130)); then
		echo "the demo failed (exit $code)" >&2
		[[ ! -s $world/daemon.log ]] || { echo "the daemon said:" && cat "$world/daemon.log"; } >&2
	fi
	rm -rf "$world"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 ]] || say() { printf '\n%s\n' "$*"; }

# show PROMPT COMMAND...: prints what is typed, runs it, tells the exit code
# when it is not 0.
show() {
	local prompt=$1 typed=$2 code=0
	shift 2
	printf '%s %s\n' "$prompt" "$typed"
	"$@" 2>&1 || code=$?
	((code == 0)) || printf '(exit %d)\n' "$code"
}
quoted() {
	local word out=
	for word; do
		if [[ $word =~ ^[A-Za-z0-9_./:=+-]+$ ]]; then out+=" $word"; else out+=" '$word'"; fi
	done
	printf '%s' "${out# }"
}
work() { show '[user@work]$' "$(quoted "$@")" "$sim" in work "$@"; }
dom0() { show '[root@dom0]#' "$(quoted "$@")" on_dom0 "$@"; }
on_dom0() {
	local name=$1
	shift
	[[ $name == qvm-remote-dom0 ]] || { "$sim" dom0 "$name" "$@"; return; }
	"$sim" dom0 "$bin/$name" --root "$SIM_WORLD/dom0" "$@"
}
authorise() {
	"$sim" dom0 "$bin/qvm-remote-dom0" --root "$SIM_WORLD/dom0" authorize "$1" <"$2" | sed "s|$SIM_WORLD/dom0||g"
}
record() { on_dom0 qvm-remote-dom0 audit show -n 14 | cut -c 1-110; }
until_connected() {
	local i
	for ((i = 0; i < 200; i++)); do
		(($(on_dom0 qvm-remote-dom0 status 2>/dev/null | grep -c connected) >= 2)) && return
		sleep 0.1
	done
	echo "the qubes were not connected in time" >&2
	return 1
}

"${GO:-go}" build -o "$sim" ./test/sim/cmd/qubes-sim
"$sim" new "$SIM_WORLD" --qube work:red --qube personal:yellow >/dev/null
"$sim" install work "$bin/qvm-remote"
"$sim" install personal "$bin/qvm-remote"
queue=$SIM_WORLD/qubes/work/home/.qvm-remote

say "A qube makes a key. Nobody else knows it yet."
show '[user@work]$' 'qvm-remote key gen' bash -c '"$0" in work qvm-remote key gen >"$1"' "$sim" "$world/key"
echo "$(head -c 6 "$world/key")…  (shortened here; it prints all 64 digits)"

say "dom0 authorises the qube; the key is pasted there. Then the daemon starts."
show '[root@dom0]#' 'qvm-remote-dom0 authorize work' authorise work "$world/key"
"$sim" in personal qvm-remote key gen >"$world/key2" 2>/dev/null
authorise personal "$world/key2" >/dev/null
dom0 qvm-remote-dom0 keys
"$sim" dom0 "$bin/qvm-remote-dom0" --root "$SIM_WORLD/dom0" 2>"$world/daemon.log" &
daemon=$!
until_connected

say "Commands run in dom0, as root."
work qvm-remote hostname
work qvm-remote qvm-ls
say "Exit codes and both outputs come back as they are."
work qvm-remote 'echo to stdout; echo to stderr >&2; exit 3'
say "Output comes while the command runs."
work qvm-remote 'for i in 1 2 3; do echo "step $i"; sleep 0.3; done'

say "Forged: a request signed with another key than the one dom0 holds."
"$sim" in work mv .qvm-remote/auth.key .qvm-remote/auth.key.true
"$sim" in work qvm-remote key gen >/dev/null 2>&1
work qvm-remote 'touch forged'
"$sim" in work mv .qvm-remote/auth.key.true .qvm-remote/auth.key

say "Replayed: a request that ran, put back into the queue byte for byte."
work qvm-remote 'echo once >>ran'
id=$("$sim" in work sh -c 'ls -t .qvm-remote/history/* | head -n 1')
past=$(find "$queue/history" -type d -name "$id")
show '[user@work]$' "cp …/history/…/request …/queue/pending/$id.auth" \
	bash -c 'cp "$1/command" "$2/pending/$3"; cp "$1/request" "$2/pending/.$3" && mv "$2/pending/.$3" "$2/pending/$3.auth"' _ "$past" "$queue/queue" "$id"
for ((i = 0; i < 100; i++)); do
	[[ -e $queue/queue/pending/$id.auth ]] || break
	sleep 0.1
done
show '[root@dom0]#' 'cat ran' cat "$SIM_WORLD/dom0/root/ran"
faults=0
[[ $(cat "$SIM_WORLD/dom0/root/ran") == once ]] || { echo "FAULT: it ran again" >&2; faults=1; }
[[ ! -e $SIM_WORLD/dom0/root/forged ]] || { echo "FAULT: the forgery ran" >&2; faults=1; }

say "Revoked: the key is gone, and the qube is told so at once."
dom0 qvm-remote-dom0 revoke work
work qvm-remote hostname
show '[user@personal]$' 'qvm-remote hostname' "$sim" in personal qvm-remote hostname

say "The record of all that, and what proves it."
kill "$daemon"
wait "$daemon" || true
daemon=
show '[root@dom0]#' 'qvm-remote-dom0 audit show -n 14 | cut -c 1-110' record
checkpoint=$(sed -n 's/^checkpoint //p' "$past/result")
show '[root@dom0]#' "qvm-remote-dom0 audit verify $checkpoint" on_dom0 qvm-remote-dom0 audit verify "$checkpoint"
exit "$faults"
