#!/usr/bin/env bash
# Opens the desktop program on a simulated dom0 with life in it: three qubes, a
# history, a command that runs. Without a display it writes screenshots in its
# place. Everything lives in folders below /tmp and is gone at the end,
# processes included.
set -euo pipefail
cd "$(dirname "$0")/../.."

if [[ -z ${DISPLAY-}${WAYLAND_DISPLAY-} ]]; then
	echo "There is no display here, so the program is shown on one that nobody sees."
	exec make --no-print-directory screenshots
fi

world=$(mktemp -d /tmp/qvm-remote-demo-gui.XXXXXX)
house=
finish() {
	local code=$?
	trap - EXIT
	# The house ends when nobody holds its input any more.
	exec 7>&-
	[[ -z $house ]] || wait "$house" 2>/dev/null || true
	if ((code != 0 && code != 130)); then
		echo "the demo failed (exit $code)" >&2
		[[ ! -s $world/house.log ]] || cat "$world/house.log" >&2
	fi
	rm -rf "$world"
	exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

"${GO:-go}" build -o "$world/life" ./test/life/cmd/qvm-remote-life
mkfifo "$world/held"
exec 7<>"$world/held"
"$world/life" --history --running --programs "$PWD/bin" <"$world/held" 7>&- >"$world/environment" 2>"$world/house.log" &
house=$!

echo "A simulated dom0 with three qubes begins to live; this takes some seconds."
for ((i = 0; i < 600; i++)); do
	# An empty line is its last: it is ready.
	[[ -n $(tail -n 1 "$world/environment" 2>/dev/null) || ! -s $world/environment ]] || break
	kill -0 "$house" 2>/dev/null || exit 1
	sleep 0.1
done
# shellcheck disable=SC2046 # a line a variable
export $(grep -E '^[A-Z_]+=' "$world/environment")

cat <<'TEXT'
The desktop program of that dom0 opens. Nothing that you press there touches this
machine. What to try:
  Overview   a command of "dev" runs: cancel it; pause, stop, start at boot
  Qubes      open one; authorise "vault", whose key is pasted as it is halted
  Activity   search for "invoice"; open a line; verify and export
A second window is the desktop program of the qube "work", whose commands run in
that dom0: run something there, and see it here. Close the first one to end the
demo.
TEXT
HOME=$SIM_WORLD/qubes/work/home XDG_CONFIG_HOME=$world/config bin/qvm-remote-gui &
inside=$!
bin/qvm-remote-admin
kill "$inside" 2>/dev/null || true
