#!/bin/sh
# What dom0 does in a qube that has not our agent: one call reads words of what
# is to be done from stdin and says on stdout what came of each
# (docs/protocol.md, section 7, Poll). Its text is constant, goes to the shell
# between single quotes, and so has none; comments are left out.
LC_ALL=C
export LC_ALL
umask 077
set -C
root=$1
[ -d "${root%/*}" ] || root=$HOME/${root##*/}
older=${root%/*}/.qubes-remote
if [ ! -e "$root" ] && [ -d "$older" ] && [ ! -L "$older" ]; then mv "$older" "$root"; fi
queue=$root/queue
pending=$queue/pending running=$queue/running results=$queue/results cancel=$queue/cancel stdin=$queue/stdin
for dir in "$root/history" "$pending" "$running" "$results" "$cancel" "$stdin"; do
	[ -d "$dir" ] && continue
	mkdir -p "$root/history" "$pending" "$running" "$results" "$cancel" "$stdin"
	[ -L "$root" ] || chmod 700 "$root"
	break
done

lines=0
say() {
	lines=$((lines + 1))
	printf "%s\n" "$*"
}

valid() {
	case $1 in
	"" | [!A-Za-z0-9]* | *[!A-Za-z0-9._-]* | *..* | *.auth | *.cmd | *.in) return 1 ;;
	esac
	[ ${#1} -le 128 ]
}

plain() { [ -f "$1" ] && [ ! -L "$1" ]; }
size() { stat -c %s "$1"; }

# text FILE SIZE: what dom0 takes of a header, and one byte more.
text() {
	if [ "$2" -le 1024 ]; then base64 -w 0 "$1"; else head -c 1025 "$1" | base64 -w 0; fi
}

# put FOLDER NAME BASE64: the file is whole or not there. A link that somebody
# put in its way is not followed.
put() {
	[ ! -d "$1/$2" ] && gone "$1/.$2.new" && printf "%s" "$3" | base64 -d >"$1/.$2.new" && mv -f "$1/.$2.new" "$1/$2"
}

# gone FILE...: each process costs its time, and most files are not there.
gone() {
	for f in "$@"; do
		if [ -e "$f" ] || [ -L "$f" ]; then
			rm -f "$@"
			return
		fi
	done
}

# removed ID: the header first, for without one there is no request. A .cmd is
# the version-1 client's own, and goes with a refusal only.
removed() { gone "$pending/$1.auth" "$pending/$1" "$stdin/$1"; }

# filed ID MORE...: the history holds its answer.
filed() {
	id=$1
	shift
	for day in "$root"/history/*; do
		for f in result exit "$@"; do
			[ -e "$day/$id/$f" ] && return 0
		done
	done
	return 1
}

# holds ID: there is an answer, or one under way.
holds() {
	for f in exit denied out err; do
		[ -e "$results/$1.$f" ] && return 0
	done
	[ -e "$running/$1" ] || filed "$1" denied
}

# answered ID
answered() { [ -e "$results/$1.exit" ] || [ -e "$results/$1.denied" ] || filed "$1"; }

# publish ID META AUTH
publish() {
	{ [ "$2" = - ] || put "$results" "$1.meta" "$2"; } || return 1
	if [ "$3" = - ]; then gone "$results/$1.auth"; else put "$results" "$1.auth" "$3"; fi
}

log() {
	[ "$*" ] || return 0
	[ -e "$root/audit.log" ] && { plain "$root/audit.log" || return 1; }
	printf "%s\n" "$*" >>"$root/audit.log"
}

# shown ID WORD: only the first word takes the request out of the queue; what is
# put there later is a copy, which dom0 has to see. A word that comes too late,
# from a call that dom0 gave up, is not shown beside the answer.
shown() {
	answered "$1" && return 1
	if [ -e "$running/$1" ]; then
		put "$running" "$1" "$2"
	else
		put "$running" "$1" "$2" && removed "$1"
	fi
}

# denied ID AUTH DENIED LOG...: no denial hides an answer.
denied() {
	if holds "$1"; then
		removed "$1" && gone "$pending/$1.cmd"
	else
		removed "$1" && gone "$pending/$1.cmd" && publish "$1" - "$2" && put "$results" "$1.denied" "$3" || return 1
		shift 3
		log "$@"
	fi
}

# brought NAME SIZE LENGTH: output that follows on stdin.
brought() {
	[ ! -d "$results/$1" ] && gone "$results/.$1.new" || return 1
	if [ "$3" -eq 0 ]; then
		: >"$results/.$1.new" && [ "$2" -eq 0 ]
	else
		head -c "$3" | base64 -d >"$results/.$1.new" && [ "$(size "$results/.$1.new")" -eq "$2" ]
	fi
}

# finished ID META AUTH EXIT DENIED OUTSIZE OUTLENGTH ERRSIZE ERRLENGTH LOG...
finished() {
	marker=exit other=denied text=$4
	if [ "$5" = - ]; then
		brought "$1.out" "$6" "$7" && brought "$1.err" "$8" "$9" || return 1
	else
		marker=denied other=exit text=$5
	fi
	have=-
	plain "$results/$1.auth" && have=$(base64 -w 0 "$results/$1.auth")
	if filed "$1" || { plain "$results/$1.$marker" && [ "$have" = "$3" ]; }; then
		gone "$results/.$1.out.new" "$results/.$1.err.new"
	else
		if [ "$5" = - ]; then
			mv -f "$results/.$1.out.new" "$results/$1.out" && mv -f "$results/.$1.err.new" "$results/$1.err" || return 1
		fi
		gone "$results/$1.$other" && publish "$1" "$2" "$3" && put "$results" "$1.$marker" "$text" || return 1
		id=$1 refused=$5
		shift 9
		log "$@"
		set -- "$id" - - - "$refused"
	fi
	[ "$5" = - ] || gone "$pending/$1.cmd"
	removed "$1" && gone "$running/$1" "$cancel/$1"
}

# cleaned FOLDER NAME
cleaned() {
	case $1 in
	pending | running | results | cancel | stdin) rm -f "$queue/$1/$2" ;;
	*) return 1 ;;
	esac
}

# fetched PART ID SIZE: not one byte more than that.
fetched() {
	case $1 in
	body) f=$pending/$2 ;;
	stdin) f=$stdin/$2 ;;
	*) return 1 ;;
	esac
	plain "$f" || return 1
	n=$(size "$f")
	say part "$n"
	[ "$n" -eq "$3" ] || return 0
	head -c "$3" "$f" | base64
	say .
}

# listed: all files of the queue, up to 1000.
listed() {
	now=$(date +%s)
	found=0 more=0
	for folder in cancel pending running results stdin; do
		for f in "$queue/$folder"/*; do
			[ -e "$f" ] || [ -L "$f" ] || continue
			name=${f##*/}
			case $name in *[!A-Za-z0-9._-]*) name= ;; esac
			if [ -z "$name" ] || ! plain "$f" || [ "$found" -ge 1000 ]; then
				more=$((more + 1))
				continue
			fi
			found=$((found + 1))
			word=-
			if [ "$folder" = running ]; then
				word=$(head -c 64 "$f" | tr -d "\000")
				case $word in queued | approval | running) ;; *) word=- ;; esac
			fi
			say entry "$folder" "$name" "$(stat -c %s "$f")" $((now - $(stat -c %Y "$f"))) "$word"
		done
	done
	say more "$more"
}

# looked: what is new, up to 16 requests with 2 MiB of scripts, and 64 cancels.
# $known are ids that dom0 has, each between blanks.
looked() {
	if plain "$queue/last-look"; then : >|"$queue/last-look"; else touch "$queue/last-look"; fi
	n=0
	for f in "$cancel"/*; do
		if ! plain "$f" || ! valid "${f##*/}"; then continue; fi
		[ "$n" -lt 64 ] || break
		n=$((n + 1))
		say cancel "${f##*/}" "$(text "$f" "$(size "$f")")"
	done
	n=0 room=2097152 bare=0 tokens=
	for f in "$pending"/*.auth; do
		plain "$f" || continue
		id=${f##*/}
		id=${id%.auth}
		valid "$id" || continue
		case $known in *" $id "*) continue ;; esac
		if [ "$legacy" ] && [ "$(size "$f")" -lt 64 ]; then # the rest may come
			[ "$bare" -ge 100 ] || say bare "$id"
			bare=$((bare + 1))
			continue
		fi
		[ "$n" -lt 16 ] || break
		n=$((n + 1))
		script=
		plain "$pending/$id" && script=$pending/$id
		# shellcheck disable=SC2046,SC2086 # two numbers
		set -- $(stat -c %s "$f" ${script:+"$script"})
		length=${2:--}
		header=$(text "$f" "${1:-0}")
		say request "$id" "$length" "${header:--}"
		if [ "$length" = - ]; then
			continue
		elif [ "$length" -gt "$room" ]; then
			continue
		fi
		room=$((room - length))
		if [ "$legacy" ] && [ ${#header} -le 88 ]; then
			tokens="$tokens $id"
		else
			say body "$id" "$(base64 -w 0 "$script")"
		fi
	done
	[ ! "$legacy" ] || lookedAtOld
}

# lookedAtOld: a version-1 client writes a script while it may be read, so only
# what two reads 50 ms apart agree on is brought.
lookedAtOld() {
	for f in "$pending"/*; do
		id=${f##*/}
		if plain "$f" && valid "$id" && [ ! -e "$f.auth" ] && [ "$bare" -lt 100 ]; then
			bare=$((bare + 1))
			say bare "$id"
		fi
	done
	[ "$tokens" ] || return 0
	sums=
	for id in $tokens; do
		sums="$sums $id:$(head -c 1048577 "$pending/$id" | cksum | tr " " -)"
	done
	sleep 0.05
	for id in $tokens; do
		script=$(head -c 1048577 "$pending/$id" | base64 -w 0)
		case "$sums " in
		*" $id:$(printf "%s" "$script" | base64 -d | cksum | tr " " -) "*) say body "$id" "$script" ;;
		esac
	done
}

printf "qvm-remote-poll/1\n"
known=" " legacy=
while read -r verb rest; do
	set -f
	# shellcheck disable=SC2086 # ids, words, numbers, base64, and words of a log line
	set -- $rest
	set +f
	case $verb in
	end) break ;;
	known) known="$known$* " ;;
	legacy) legacy=yes ;;
	state) if shown "$@"; then say ok state "$1"; else say no state "$1"; fi ;;
	deny) if denied "$@"; then say ok deny "$1"; else say no deny "$1"; fi ;;
	clean) if cleaned "$@"; then say ok clean "$1/$2"; else say no clean "$1/$2"; fi ;;
	finish) # the last one of a call: when it fails, the output is still on stdin
		if finished "$@"; then say ok finish "$1"; else say no finish "$1"; fi
		break
		;;
	fetch) fetched "$@" || say gone ;;
	list) listed ;;
	look) looked ;;
	*) say odd ;;
	esac
done
printf "end %s\n" "$lines"
