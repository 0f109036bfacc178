/*
 * The life of one request id between a qube and dom0, protocol version 2.
 * README.md in this folder says what is left out and why that is sound; the
 * script check beside it runs everything. "§" is docs/protocol.md.
 *
 * dom0's part stands once. Two environments can be around it:
 *
 *   HOSTILE    every answer of the qube is any answer at all. Whatever a qube
 *              can do with its files (replay, swap, restore, keep, forge, never
 *              acknowledge) is among that, so it needs no state of its own.
 *   otherwise  the agent and a client keep to their rules (§8, §9), on files
 *              that others meddle with until they leave off ("calm").
 *
 * Each option of a "do" is one step, and dom0 may crash between any two of them
 * (Power). An upper-case name that is tested by #ifdef and defined nowhere is a
 * fault put in on purpose, one a run; the properties at the end must find it.
 */

mtype:end = { none, exit, cancelled, denied, interrupted, replayed, refusal };

/* The headers that can lie under the one name. R2 is the same id signed anew,
 * later, or with MISPLACED a header signed for another file's name. Floors (§6)
 * are compared with their issue times 1 and 2; 1 refuses nothing, 3 both. */
#define R1 1
#define R2 2
#define FORGED 3 /* its MAC is not the key's */
#define HEADERS 4
#define genuine(h) ((h) != FORGED)
#define issued(h) (h)
#ifdef MISPLACED
#define wrongId(h) ((h) == R2)
#else
#define wrongId(h) false
#endif
#define MAXFLOOR 3

/* ---- dom0's disk: one assignment is one fsynced write -------------------- */

#define NOTHING 0
#define CLAIM 1     /* audit record claim */
#define RUN 2       /* run: the shell is about to start */
#define FINAL 3     /* final: the one final state */
#define DELIVERED 4 /* delivered: the qube has it */
byte log[HEADERS];     /* the last record about a request */
byte newest;           /* whose claim is the last one in the log */
mtype:end final = none;       /* what the final record of that one says */
byte saved;            /* its answer in the spool: 0, or the nonce in its bytes */
byte floorRecord = 1;  /* the highest floor that a record states */

/* ---- dom0's memory: a crash forgets it ----------------------------------- */

bool on;               /* the executor runs */
bool settling;         /* takeUp: it does not look at qubes yet */
byte floor, held;      /* claim.Book: the floor; whose claim holds the id, or 0 */
bool pruned[HEADERS];  /* the floor above it is recorded: its segment may go */
bool burnt[HEADERS];   /* refused with a good MAC and no claim */
byte looking, header;  /* the look at the qube: how far, and what it read */
byte step, job;        /* the request under way: how far, and which */
byte body;             /* the script in the spool, named by the header it fits */
bool cancel;           /* the request's context was cancelled */
mtype:end outcome = none;     /* how it ended, until that is recorded */
byte sending;          /* nonce of the answer that is on its way */

#define IDLE 0
#define NAMED 1 /* the qube named the id */
#define READ 2  /* its header was read */

#define FETCH 1
#define CHECKED 2
#define STARTING 3
#define RUNNING 4
#define ENDED 5
#define SAVE 6
#define DELIVER 7
#define TOLD 8
#define CLEAR 9

/* Book.Lookup */
#define open(h) (log[h] >= CLAIM && log[h] <= FINAL)
#define anyOpen (open(R1) || open(R2))
#define unknown (!anyOpen && held == 0)
#define looks (on && !settling)

/* ---- what the properties look at: never reset, never asked by dom0 ------- */

byte stage[HEADERS];   /* furthest ever: CLAIM, FINAL, DELIVERED */
bool ran[HEADERS];     /* a shell was started for it */
bool forgot[HEADERS];  /* its claim was forgotten (see tooLate) */
bool refused[HEADERS]; /* since the start its client was told that it did not run */
byte first;            /* nonce of the answer that was sent first */
bool unauthentic, ranTwice, claimedTwice, unrecorded, twoEnds, otherBytes, contradicted, brokeWord;
bool calm;             /* from here on no crash and no meddling */

/* ---- the qube ------------------------------------------------------------ */

#ifdef HOSTILE

#define hasRequest true
#define hasCancel true
#define mayLeave true
#define mayDeny true
inline readHeader(h) { if :: h = 0 :: h = R1 :: h = R2 :: h = FORGED fi }
inline readCancel(h) { if :: h = 0 :: h = R1 :: h = R2 :: h = FORGED fi }
inline readBody(b) { if :: b = 0 :: b = R1 :: b = R2 :: b = FORGED fi }
inline clearCancel() { skip }
inline askedForNames() { skip }
inline newCourier() { skip }
inline showWord() { skip }
inline agentDeny(h, why) { skip }
inline agentFinish(h, ok) { if :: ok = true :: ok = false fi }

#else

/* The queue (§2): a header with its script, the cancel, the word, the result
 * with the header whose digest it has, and an answer filed in the history. */
byte pending;
bool cancelFile, running, history;
mtype:end result = none;
byte resultFor;

bool waits;          /* the client */
bool patient;        /* and will not take its request back */
mtype:end learned = none;   /* what it believes */
byte tookBack;       /* 1: it withdrew the header, 2: and published a cancel */
bool hadIt, lost;    /* the qube acknowledged the answer; and lost it again */

/* courier.removedBy: whose agent last removed the original, and whether the
 * names were asked for after that. */
#define NOBODY 0
#define SAME 1
#define EARLIER 2
byte conn;
bool fresh;

/* claimed() in daemon/serve.go: it leaves what may be the original. */
#ifdef DENY_UNDELIVERED
#define leaveToDelivery false
#else
#define leaveToDelivery (anyOpen && log[newest] == FINAL)
#endif
#define mayDeny (fresh && (!anyOpen || conn == SAME) && !leaveToDelivery)
#define mayLeave (!mayDeny)

#define hasRequest (pending != 0)
#define hasCancel cancelFile
inline readHeader(h) { h = pending }
inline readCancel(h) { h = (cancelFile -> R1 : 0) }
inline readBody(b) { b = pending }
inline clearCancel() { cancelFile = false }
inline askedForNames() { fresh = true }
inline newCourier() { conn = NOBODY }

/* §8: the first word removes the request's files, later ones do not. */
inline showWord() {
	if
	:: !calm /* it did not get through */
	:: true ->
		pending = (running -> pending : 0);
		running = true; conn = SAME; fresh = false
	fi
}

/* §8: a denial is written only where there is no answer and none on its way. */
inline agentDeny(h, why) {
	pending = 0;
	if
	:: result == none && !running && !history -> result = why; resultFor = h
	:: else
	fi
}

/* §8: repeating it changes nothing. Until calm it may fail before it did
 * anything, and its acknowledgement may be lost. */
inline agentFinish(h, ok) {
	if
	:: !calm
	:: true ->
		if
		:: !history -> result = final; resultFor = h
		:: else
		fi;
		pending = 0; running = false; cancelFile = false;
		if
		:: !calm
		:: true -> ok = true; hadIt = true; conn = SAME; fresh = false
		fi
	fi
}

#endif

/* ---- dom0 ---------------------------------------------------------------- */

#ifdef NO_MAC
#define passes(h) true
#else
#define passes(h) genuine(h)
#endif

#ifdef NO_HASH
#define fits(b, h) true
#else
#define fits(b, h) (b == h)
#endif

#ifdef NO_BURN
inline burn(h) { skip }
#else
inline burn(h) { burnt[h] = true }
#endif

/* §5: a cancel counts no longer than the claim of its request is held. */
#ifdef LATE_CANCEL
#define tooLate(h) false
#else
#define tooLate(h) forgot[h]
#endif

inline endWith(how) { outcome = how; step = ENDED }
inline forgetRequest() { settling = false; step = 0; job = 0; body = 0; cancel = false; outcome = none; sending = 0 }

inline raise(to) {
#ifndef NO_FLOOR
	floor = (to > floor -> to : floor)
#else
	skip
#endif
}

/* Every denial that is not a final state goes through here. A signed one names
 * the header h; 0 names none, so no client believes it. Invariant 5: of a
 * claimed request no client is told another end than its own; "replayed" only
 * once that was delivered, and "stale" once it is forgotten. */
inline deny(h, why) {
	contradicted = contradicted || (h != 0 && stage[h] >= CLAIM && stage[h] < DELIVERED);
	refused[h] = refused[h] || (why == refusal && h != 0 && genuine(h));
	agentDeny(h, why)
}

/* §5, 14: under the log's lock. */
inline claim(h) {
#ifndef CLAIM_AFTER_RUN
	log[h] = CLAIM; newest = h;
#endif
	final = none; saved = 0; first = 0;
	claimedTwice = claimedTwice || stage[h] != NOTHING;
	stage[h] = (stage[h] > CLAIM -> stage[h] : CLAIM);
	held = h; job = h;
	newCourier()
}

/* One look at the qube after the other: daemon/serve.go, refuse.go, cancel.go. */
active proctype Look() {
	byte h;
end:	do
	/* A cancel that fails a check is dropped and never answered. */
	:: atomic { looks && looking == IDLE && hasCancel ->
		readCancel(h);
		if
		:: h != 0 && genuine(h) && job == h && log[h] < FINAL && step < ENDED -> cancel = true
		:: h != 0 && genuine(h) && unknown && step == 0 && !tooLate(h) -> claim(h); endWith(cancelled)
		:: else
		fi;
		clearCancel();
		h = 0
	   }
	:: atomic { looks && looking == IDLE && hasRequest -> looking = NAMED; askedForNames() }

	/* claimed(): a copy of a claimed id never counts. */
	:: atomic { looks && looking == NAMED && !unknown ->
		if
		:: mayLeave ->
			if
			:: step >= CHECKED && step < ENDED -> showWord() /* courier.repeat */
			:: else
			fi
		:: mayDeny ->
			if
#ifdef DENY_CLAIMED
			:: true -> readHeader(h)
#else
			:: !anyOpen -> readHeader(h)
			:: anyOpen
#endif
			fi;
			deny(h, replayed)
		fi;
		looking = IDLE; h = 0
	   }
	:: atomic { looks && looking == NAMED && unknown ->
		readHeader(header);
		looking = (header == 0 -> IDLE : READ)
	   }

	/* decide(): §5 in its order. */
	:: atomic { looks && looking == READ ->
		if
		:: !passes(header) -> deny(header, refusal)                            /* 4 bad-mac */
		:: passes(header) && issued(header) < floor -> deny(header, refusal)   /* 7 stale */
		:: passes(header) && issued(header) >= floor ->
			if
			:: burnt[header] -> deny(header, refusal)
			:: !burnt[header] -> burn(header); deny(header, refusal)       /* not-ready */
			:: !burnt[header] && (!unknown || step != 0)                   /* errClaimed */
			:: !burnt[header] && unknown && step == 0 ->                   /* 14 */
				brokeWord = brokeWord || refused[header];
				claim(header);
				if
				:: endWith(denied)   /* 6, 8 to 13: the claim comes with its end */
				:: wrongId(header) -> endWith(denied)                  /* 5 */
				:: !wrongId(header) -> step = FETCH
				fi
			fi
		fi;
		looking = IDLE; header = 0
	   }
	od
}

/* A claimed request on its way: daemon/request.go, conclude.go. Every wait in
 * it has a deadline, so a qube that keeps silent ends it, too. */
active proctype Request() {
	bool ok;
end:	do
	:: atomic { on && step == FETCH ->
		unrecorded = unrecorded || log[job] != CLAIM;
		if
		:: cancel -> endWith(cancelled)
		:: endWith(denied)                                /* unreadable, 16, 17 */
		:: readBody(body);
			if
			:: fits(body, job) -> step = CHECKED
			:: !fits(body, job) -> endWith(denied)    /* 15 mismatch */
			fi
		fi
	   }
	:: atomic { on && step == CHECKED -> showWord();
#ifndef CLAIM_AFTER_RUN
		log[job] = RUN;
#endif
		step = STARTING
	   }
	/* mayStart, right before the shell. */
	:: atomic { on && step == STARTING ->
		if
		:: cancel -> endWith(cancelled)
		:: !cancel -> endWith(denied)                     /* 17 expired */
		:: !cancel ->
			unauthentic = unauthentic || !genuine(job) || wrongId(job) || body != job;
			unrecorded = unrecorded || log[job] != RUN;
			ranTwice = ranTwice || ran[job];
			ran[job] = true; body = 0;
			step = RUNNING
		fi
	   }
	:: atomic { on && step == RUNNING ->
		if
		:: cancel -> endWith(cancelled)
		:: endWith(exit)                                  /* or timeout */
		fi
	   }

	/* Invariant 5: recorded first, delivered afterwards, always the same bytes. */
	:: atomic { on && step == ENDED ->
		final = outcome; outcome = none; cancel = false; body = 0;
#ifndef DELIVER_FIRST
		log[job] = FINAL; newest = job;
		twoEnds = twoEnds || stage[job] >= FINAL;
		stage[job] = FINAL;
#endif
		settling = false;
		step = SAVE
	   }
	:: atomic { on && step == SAVE ->
		if
		:: saved != 0 -> sending = saved
		:: saved == 0 -> sending = 1
#ifdef HOSTILE
		:: saved == 0 -> sending = 2                      /* another checkpoint */
#endif
		fi;
#ifndef SAVE_NOTHING
		saved = sending;
#endif
		step = DELIVER
	   }
	:: atomic { on && step == DELIVER ->
		unrecorded = unrecorded || log[job] != FINAL;
		otherBytes = otherBytes || (first != 0 && first != sending);
		first = sending;
		agentFinish(job, ok);
		if
		:: ok -> step = TOLD
		:: !ok                                            /* again */
#ifdef HOSTILE
		:: !ok -> step = TOLD                             /* given up after a week */
#endif
		fi;
		ok = false
	   }
	:: atomic { on && step == TOLD -> sending = 0;
#ifdef DELIVER_FIRST
		twoEnds = twoEnds || stage[job] >= FINAL;
#endif
		log[job] = DELIVERED; stage[job] = DELIVERED; step = CLEAR
	   }
	:: atomic { on && step == CLEAR -> saved = 0; forgetRequest() }
	od
}

#ifdef HOSTILE

inline dropClaim(below) {
	if
	:: held != 0 && issued(held) < below -> forgot[held] = true; held = 0
	:: else
	fi
}

inline prune(h) {
	pruned[h] = true;
	raise(issued(h) + 1);
#if !defined(NO_FLOOR) && !defined(PRUNE_UNRECORDED)
	floorRecord = (issued(h) >= floorRecord -> issued(h) + 1 : floorRecord);
#endif
	dropClaim(issued(h) + 1)
}

inline dropSegment(h) { log[h] = (pruned[h] -> NOTHING : log[h]); pruned[h] = false }

/* Forgetting (§6): in memory by Book.Forget and giveUp, on the disk by Prune.
 * Any claim at any time, so that nothing below depends on a clock. */
active proctype Tidy() {
end:	do
	:: atomic { looks && held != 0 -> raise(issued(held) + 1); dropClaim(MAXFLOOR) }
	/* First a record of the floor, then the old segments go. What is open is
	 * carried over. */
	:: atomic { looks && !pruned[R1] && log[R1] == DELIVERED && (newest != R1 || log[R2] == NOTHING) -> prune(R1) }
	:: atomic { looks && !pruned[R2] && log[R2] == DELIVERED && (newest != R2 || log[R1] == NOTHING) -> prune(R2) }
	:: atomic { looks && (pruned[R1] || pruned[R2]) -> dropSegment(R1); dropSegment(R2) }
	/* Another id's claim is forgotten: the floor is that of the key. */
	:: atomic { looks && floor < MAXFLOOR -> floor++; }
	:: atomic { looks && floor > floorRecord -> floorRecord = floor }
	od
}

#endif

/* A claim met while the log is read; see Book.claim for an id claimed anew. */
inline fold(h, wanted) {
	if
	:: wanted && log[h] != NOTHING ->
		if
		:: held != 0 -> raise(issued(held) + 1)
		:: else
		fi;
		held = h
	:: else
	fi
}

/* takeUp: what is open without a final state is interrupted, never run. */
inline takeUp(h) {
	if
	:: log[h] == CLAIM || log[h] == RUN -> job = h;
#ifdef RUN_AGAIN
		log[h] = CLAIM; step = FETCH
#else
		settling = true; endWith(interrupted)
#endif
	:: log[h] == FINAL -> job = h; step = SAVE
#ifdef FORGET_ANSWER
		; forgetRequest()
#endif
	:: else
	fi
}

/* A crash leaves the disk and nothing else. A start folds the log and goes on
 * with what is open. */
active proctype Power() {
end:	do
	:: atomic { on && !calm ->
		on = false; floor = 0; held = 0; pruned[R1] = false; pruned[R2] = false; looking = IDLE; header = 0;
		burnt[R1] = false; burnt[R2] = false; burnt[FORGED] = false;
		refused[R1] = false; refused[R2] = false;
		newCourier();
		forgetRequest()
	   }
	:: atomic { !on ->
		on = true;
		floor = floorRecord;
		fold(R1, newest != R1); fold(R2, newest != R2); fold(newest, newest != 0);
		if
		:: !anyOpen -> saved = 0 /* sweepSpool */
		:: else -> takeUp(newest)
		fi
	   }
	:: atomic { !calm -> calm = true }
	od
}

#ifndef HOSTILE

/* The client (§9). It waits for as long as it takes. An answer with another
 * request's digest is not believed, and stays until a better one comes. */
active proctype Client() {
	atomic { pending = R1; waits = true };
end:	do
	:: atomic { waits && result != none && resultFor == R1 ->
		learned = result; result = none; resultFor = 0; history = true; waits = false
	   }
	:: atomic { waits && tookBack == 0 && !patient -> patient = true }
	/* Ctrl-C: the header goes first, then the cancel comes. */
	:: atomic { waits && tookBack == 0 && !patient -> pending = 0; tookBack = 1 }
	:: atomic { waits && tookBack == 1 -> cancelFile = true; tookBack = 2 }
	od
}

/* Whoever else can write in the qube, and what befalls it. */
active proctype Meddler() {
end:	do
	:: atomic { !calm && (waits || history) -> pending = R1 }     /* a copy */
	:: atomic { !calm && (waits || history) -> pending = FORGED }
	:: atomic { !calm && conn == SAME -> conn = EARLIER }         /* the connection ends */
	/* The qube, or its queue alone, becomes what it was when the request had
	 * just been published; the client waits again. */
	:: atomic { !calm && (waits || history) ->
		pending = R1; running = false; cancelFile = false; history = false;
		result = none; resultFor = 0; learned = none; waits = true; tookBack = 0; patient = false;
		lost = hadIt;
		if
		:: conn == SAME -> conn = EARLIER
		:: true
		fi
	   }
	od
}

#endif

/* ---- properties ---------------------------------------------------------- */

/* Invariants 2 and 4: what starts has a good MAC and is the script it covers. */
ltl authentic { [] !unauthentic }
/* Invariant 3. */
ltl once { [] !ranTwice }
ltl claimedOnce { [] !claimedTwice }
/* Invariants 3 and 5: claim, script, record of the start, shell, final record,
 * delivery, in this order. */
ltl recorded { [] !unrecorded }
/* Invariant 5. */
ltl oneEnd { [] !twoEnds }
ltl sameBytes { [] !otherBytes }
ltl noOtherAnswer { [] !contradicted }
/* §5: what was refused without a claim does not run before a restart. */
ltl keepsWord { [] !brokeWord }
ltl safe { [] !(unauthentic || ranTwice || claimedTwice || unrecorded || twoEnds || otherBytes || contradicted || brokeWord) }

/* Invariant 5: dom0 comes to an end with every claim, whatever the qube does. */
#define settled(h) (stage[h] != CLAIM)
ltl ends { [] (calm -> <> (settled(R1) && settled(R2))) }

/* What must be possible, so that the rest does not hold for want of events: these
 * must fail. An id may run again for a header that is above the floor. */
#ifdef HOSTILE
ltl canRunAnew { [] !(ran[R1] && ran[R2]) }
#else
ltl canExit { [] (learned != exit) }
ltl canCancel { [] (learned != cancelled) }
ltl canDeny { [] (learned != denied) }
ltl canInterrupt { [] (learned != interrupted) }
ltl canReplay { [] (learned != replayed) }
ltl canRefuse { [] (learned != refusal) }
#endif

#ifndef HOSTILE
/* The client of a claimed request learns its end, unless the qube acknowledged
 * the answer and then lost it. */
ltl learns { [] ((calm && stage[R1] != NOTHING && waits) -> <> (!waits || lost)) }
/* What it learns is that end; "replayed" only where the qube had it before. */
ltl truth { [] (
	((learned == exit || learned == cancelled || learned == denied || learned == interrupted)
		-> (stage[R1] >= FINAL && learned == final)) &&
	(learned == replayed -> stage[R1] == DELIVERED)) }
/* A client whose request lies there, with nothing in the way, is answered in any
 * case: it was not claimed, or its answer is lost, which it learns, too. */
ltl hears { [] ((calm && waits && pending == R1 && result == none && looking != READ)
	-> <> (!waits || tookBack > 0)) }
#endif
