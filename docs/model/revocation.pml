/*
 * The rules of the revocation list, for the model checker spin.
 *
 * Two nodes serve three sessions by one list, which may be put back once from a copy. What they do
 * is cut into the steps that are atomic in the code (one lookup, one transaction of the list), and
 * spin tries every order of the steps. `run`, beside this file, says how; docs/architecture.md says
 * what is covered and what is not.
 *
 * Where the code is:
 *
 *   judge            session/judging.py, Rules.judge; revocation/base.py, forgotten
 *   draw             revocation/_history.py, History.raised
 *   raise_...        MemoryRevocationList._put, and what calls it
 *   seal             session/sealing.py, _claims
 *   Node             check_steps, seal_steps; a logout, delete_subject(), delete_group(), end_group(),
 *                    clear_all_sessions()
 *   Request          forgotten_steps, supersede_steps, _delete_others_steps, _end_loaded_steps; a
 *                    change of groups in seal_steps
 *   World            clocks, purge, and what happens to servers and files
 *
 * How the check is done. Every raise that a list acknowledged is an *event*, a bit of a byte. A list
 * has the events that are in its history, a token those that its list had when it was sealed. The
 * code knows nothing of events; they are what the assertions go by:
 *
 *   good       an accepted token speaks of nothing that the list has lost, and the list has no
 *              event against it that the token did not know when it was sealed
 *   no cause   a token is refused for an event, a loss, another birth or its age, and nothing else
 *   proof      everything is raised for a token that knows an event which the list lost, and once
 *              for all tokens sealed by then
 *
 * So what the list lost and no token tells is the one way in for a revoked token: it has no event
 * then. Numbers of the list's clock are small and machine clocks may stand still, so the two
 * histories after a restore give the same numbers out again: the worst case.
 *
 * Node does what takes one step, on either node; each Request is something of several steps, two of
 * which are under way at a time. PROOFS_ONLY leaves them only the proof, ONE_BIRTH leaves out
 * births, ONE_LIST copies and losses, and without GROUPS there are none.
 *
 * Each M_... is one rule left out; spin must find a counterexample then.
 */

/* Bounds; `run` sets others. */
#ifndef TOKENS
#define TOKENS 4   /* sealed in all */
#endif
#ifndef EVENTS
#define EVENTS 4   /* raises in all, of both histories together */
#endif
#ifndef NAMES
#define NAMES 3    /* checkpoints in all; the birth is the first */
#endif
#ifndef HOURS
#define HOURS 0    /* how far time goes on, in steps of any length */
#endif
#ifndef BEFORE
#define BEFORE 0   /* 1: there was a raise long ago, so that the first tokens carry a checkpoint */
#endif
#ifndef AGE
#define AGE 1      /* absolute_age, in the same steps */
#endif
#ifndef FAR
#define FAR 0      /* 1: a node's clock stands still; 2: and the list's may be set back by any time */
#endif

#define SKEW 2     /* clock_skew: what clocks differ by (1), and what one is set back by (1) */
#define RETENTION (AGE + SKEW)

#ifdef M_ENTRIES_PURGED_EARLY
#define ENTRIES_LIVE (RETENTION - SKEW)
#else
#define ENTRIES_LIVE RETENTION
#endif
#ifdef M_CHECKPOINTS_PURGED_EARLY
#define CHECKPOINTS_LIVE (RETENTION - SKEW - 1)
#else
#define CHECKPOINTS_LIVE RETENTION
#endif

#ifdef M_PROOF_NOT_JUDGED_AGAIN
#define ASSUMED_PROVEN true
#else
#define ASSUMED_PROVEN false
#endif
#ifdef M_RAISED_ABOVE_THE_LIST_ONLY
#define ABOVE_ITS false
#else
#define ABOVE_ITS true
#endif
#ifdef M_END_NOT_COMPARED
#define END_NOT_COMPARED true
#else
#define END_NOT_COMPARED false
#endif
#ifdef M_SUPERSEDE_NOT_COMPARED
#define SUPERSEDE_NOT_COMPARED true
#else
#define SUPERSEDE_NOT_COMPARED false
#endif
#ifdef M_OTHERS_ENDED_UNCLAIMED
#define ENDED_UNCLAIMED true
#else
#define ENDED_UNCLAIMED false
#endif
#ifdef M_GROUPS_CHANGED_UNCLAIMED
#define CHANGED_UNCLAIMED true
#else
#define CHANGED_UNCLAIMED false
#endif

#define LAST 15    /* the epoch of what was ended; nothing passes it */
#define ALL 7      /* every session, as a set: one bit each */
#define ALICE 3    /* sessions 0 and 1 are one subject's, 2 is a visitor's */
#define VISITOR 2
#define begins_in(s) ((s) != 0)  /* whether it is in the group from its login on */
#define max(a, b) ((a) > (b) -> (a) : (b))
#define lacks(has, wanted) (((wanted) & ~(has)) != 0)

mtype = { IDLE, PROVING, MOVING, CLAIMING, SPREADING, SEALING };    /* what a node is about */
mtype = { GOOD, OTHER_LIST, ALL_REVOKED, TOO_OLD, FORGOTTEN, REVOKED };  /* how a token is judged */

typedef List {
  byte birth = 1;
  byte clock = BEFORE;      /* the last number given out; 0 before the first */
  byte newest = 1;            /* checkpoint; its reach is `clock` */
  byte purged;              /* the machine's time when something was last purged */
  bit elsewhere;            /* the server or file is another than at the last raise */
  byte everything;          /* epochs; 0: no entry */
  byte subject;
  byte session[3];
  byte made[3];             /* when the session's entry was made: an ended one's epoch is no time */
#ifdef GROUPS
  byte group;
  byte group_made;
  byte members;             /* ghost: the sessions that have no live token outside of the group */
#endif
  byte reach[NAMES + 1];    /* of the checkpoints that were replaced; 0: not known */
  byte replaced[NAMES + 1]; /* when that was */
  byte events               /* ghost: the raises in its history */
};
List list[2];               /* 0: the list; 1: what comes of a copy of it */
bit copied;

typedef Token {
  bit out;                  /* handed out; a thief keeps every token for ever */
  byte session;             /* whose */
  byte birth;
  byte checkpoint;          /* 0: sealed before the first raise */
  byte reach;
  byte everything;          /* epochs */
  byte its;
  byte subject;
#ifdef GROUPS
  bit in;                   /* whether it is in the group; if so, its epoch */
  byte group;
#endif
  byte events               /* ghost: the raises in its list's history when it was sealed */
};
Token token[TOKENS];
byte tokens;
byte created[3];            /* when the session was, by the clock of the node; 0: id not in use */

byte names = 1;             /* given so far: random in the code, so never given twice */
byte events;                /* ghost: how many */
byte against[3];            /* ghost: which of them speak of this session, */
byte hits[3];               /* and were made when it was there already, under this or an earlier id */
byte of_everything;         /* ghost: which raised everything */
byte of_session;             /* ghost: which ended or superseded one session */
byte of_group;              /* ghost: which ended the group's sessions */
byte proofs;                /* ghost: which of those because of a proof */

byte busy;                  /* which of the two processes of several steps */

byte hour;
byte back;                  /* what the lists' machines were set back by */
#define now (hour + 2 - back)
#define past(made_) (made_ && made_ + RETENTION < hour + 2)
/* One node's clock shows hour + 2, the other's hour + 1: that one accepts a token longest. */
#if FAR
#define usable(t) token[t].out  /* it stands still */
#else
#define usable(t) (token[t].out && hour + 1 < created[token[t].session] + AGE)
#endif
#if TOKENS > 2
#define THIRD 2
#else
#define THIRD 0
#endif
#define some_usable (usable(0) || usable(1) || usable(THIRD) || usable(TOKENS - 1))

/* Scratch; nothing here outlives the step that uses it. */
hidden byte number, standing, known, its, subject_, bit_of, whose, above, at;
hidden byte joins;
hidden mtype verdict;

#ifdef M_BIRTH_NOT_CHECKED
#define other_birth(t, l) false
#else
#define other_birth(t, l) (token[t].birth != list[l].birth)
#endif
#ifdef M_OLDER_EVERYTHING_NOT_FIRST
#define older_everything(t, l) false
#else
#define older_everything(t, l) (token[t].everything < list[l].everything)
#endif
/* Whether the list knows all that the token speaks of. */
#if defined(M_REACH_NOT_CHECKED)
#define vouched(t) (token[t].checkpoint == 0 || known != 0)
#elif defined(M_CHECKPOINT_NOT_CHECKED)
#define vouched(t) (known == 0 || token[t].reach <= known)
#else
#define vouched(t) (token[t].checkpoint == 0 || (known != 0 && token[t].reach <= known))
#endif
/* Whether entries, and so checkpoints, that the token speaks of may be gone by their age. */
#ifdef M_TOO_OLD_IS_A_PROOF
#define too_old(t, l) false
#else
#define too_old(t, l) (token[t].reach + RETENTION < max(now, max(list[l].clock, list[l].purged)))
#endif

#if defined(M_GROUP_NOT_JUDGED)
#define out_of_group(t, l) false
#elif defined(GROUPS)
#define out_of_group(t, l) (token[t].in && token[t].group < list[l].group)
#else
#define out_of_group(t, l) false
#endif

/* A token against what stands: one lookup, judged in the code's order.
 * `its`, `subject_`: the epochs of session and subject, adopted since or those of the token. */
inline judge(t, l) {
  its = token[t].its;
  subject_ = token[t].subject;
  judge_adopting(t, l)
}
inline judge_adopting(t, l) {
  known = (token[t].checkpoint == list[l].newest -> list[l].clock : list[l].reach[token[t].checkpoint]);
  if
  :: other_birth(t, l) -> verdict = OTHER_LIST
  :: else ->
    if
    :: older_everything(t, l) -> verdict = ALL_REVOKED
    :: else ->
      if
      :: token[t].everything <= list[l].everything && vouched(t) ->
        if
        :: its < list[l].session[token[t].session] || out_of_group(t, l) ||
           (token[t].session != VISITOR && subject_ < list[l].subject) ||
           token[t].everything < list[l].everything -> verdict = REVOKED
        :: else -> verdict = GOOD
        fi
      :: else ->
        if
        :: token[t].everything <= list[l].everything && too_old(t, l) -> verdict = TOO_OLD
        :: else -> verdict = FORGOTTEN
        fi
      fi
    fi
  fi
}
/* The next number, under a new checkpoint if one is due. It is due after the list may have become
 * another, and after ten seconds, either way: here `stretch`, at any time. */
inline draw(l, stretch) {
#ifdef M_CLOCK_GOES_BACK
  number = max(now, standing + 1);
#else
  number = max(now, max(list[l].clock + 1, standing + 1));
#endif
#ifdef M_CHECKPOINT_AFTER_THE_NUMBER
  list[l].clock = number;
#endif
  if
#ifdef M_NO_CHECKPOINT_ELSEWHERE
  :: stretch ->
#else
  :: list[l].elsewhere || stretch ->
#endif
    if
    :: list[l].clock ->
      list[l].reach[list[l].newest] = list[l].clock;
#ifdef M_CHECKPOINT_KEPT_BY_ITS_REACH
      list[l].replaced[list[l].newest] = list[l].clock
#else
      list[l].replaced[list[l].newest] = number
#endif
    :: else
    fi;
    names++;
    list[l].newest = names;
    list[l].elsewhere = 0
  :: else
  fi;
  list[l].clock = number
}
#define may_draw(l, stretch) \
  (events < EVENTS && (!(list[l].elsewhere || stretch) || names < NAMES))

inline against_one(s, speaks) {
  if
  :: speaks ->
    against[s] = against[s] | bit_of;
    hits[s] = hits[s] | (created[s] -> bit_of : 0)
  :: else
  fi
}
/* Ghost: the raise that was just made is in the history, against these sessions. */
inline acknowledge(l, whom) {
  bit_of = 1 << events;
  events++;
  list[l].events = list[l].events | bit_of;
  against_one(0, whom & 1);
  against_one(1, whom & 2);
  against_one(2, whom & 4)
}
inline raise_session(l, s, stretch, ended) {
  standing = (ended -> 0 : list[l].session[s]);
  draw(l, stretch);
  list[l].made[s] = number;
  list[l].session[s] = (ended -> LAST : number);
  acknowledge(l, 1 << s);
  of_session = of_session | bit_of
}
inline raise_subject(l, stretch) {
  standing = list[l].subject;
  draw(l, stretch);
  list[l].subject = number;
  acknowledge(l, ALICE)
}
#ifdef GROUPS
inline raise_group(l, stretch, ended) {
  standing = (ended -> 0 : list[l].group);
  draw(l, stretch);
  list[l].group_made = number;
  list[l].group = (ended -> LAST : number);
  acknowledge(l, list[l].members);
  of_group = of_group | bit_of
}
#endif
inline raise_everything(l, above, stretch) {
  standing = max(list[l].everything, above);
  draw(l, stretch);
  list[l].everything = number;
  acknowledge(l, ALL);
  of_everything = of_everything | bit_of
}

/* Both processes are alike, so that the second one only begins beside the first. */
#define mine (1 << (_pid - 1))
#define first_free (_pid == 1 || (busy & 1))
#define done busy = busy & ~mine; doing = IDLE; t = 0; l = 0; slot = 0; seen = 0; own = 0; \
  whole = 0; regroups = 0; stood = 0; stretch = 0

#ifdef GROUPS
#define group_ended(l) (list[l].group == LAST)
/* What has ended can't be joined any more. */
#ifdef M_ENDED_GROUP_JOINED
#define may_join(l) true
#else
#define may_join(l) (!group_ended(l))
#endif
#define in_group(t) token[t].in
#define is_member(l, s) list[l].members = list[l].members | (1 << (s))
#define is_no_member(l, s) list[l].members = list[l].members & ~(1 << (s))
#else
#define may_join(l) true
#define group_ended(l) false
#define in_group(t) false
#define is_member(l, s) skip
#define is_no_member(l, s) skip
#endif

/* A token of session s, as everything stands in one lookup; in the group if `joins`. */
inline seal(l, s) {
  token[tokens].session = s;
  token[tokens].birth = list[l].birth;
  token[tokens].checkpoint = (list[l].clock -> list[l].newest : 0);
  token[tokens].reach = list[l].clock;
  token[tokens].everything = list[l].everything;
  token[tokens].its = list[l].session[s];
  token[tokens].subject = (s == VISITOR -> 0 : list[l].subject);
#ifdef GROUPS
  token[tokens].in = joins;
  token[tokens].group = (joins -> list[l].group : 0);
#endif
  token[tokens].events = list[l].events;
  tokens++
}
#define alike(a, b) (token[a].out && token[a].session == token[b].session && \
  token[a].birth == token[b].birth && token[a].checkpoint == token[b].checkpoint && \
  token[a].reach == token[b].reach && token[a].everything == token[b].everything && \
  token[a].its == token[b].its && token[a].subject == token[b].subject && \
  token[a].events == token[b].events && alike_in_groups(a, b))
#ifdef GROUPS
#define alike_in_groups(a, b) (token[a].in == token[b].in && token[a].group == token[b].group)
#else
#define alike_in_groups(a, b) true
#endif
inline blank(t) {
  token[t].out = 0; token[t].session = 0; token[t].birth = 0; token[t].checkpoint = 0;
  token[t].reach = 0; token[t].everything = 0; token[t].its = 0; token[t].subject = 0;
  token[t].events = 0;
#ifdef GROUPS
  token[t].in = 0; token[t].group = 0
#endif
}
/* Handed out; but one just like another changes nothing, and is not kept. */
inline hand_out() {
  tokens--;
  at = 0;
  do
  :: at < tokens && !alike(at, tokens) -> at++
  :: else -> break
  od;
  if
  :: at == tokens -> token[tokens].out = 1; tokens++
  :: else ->
    blank(tokens)
  fi
}

/* Choices: spin tries each. */
inline some_token(t) {
  if
  :: usable(0) -> t = 0
  :: usable(1) -> t = 1
  :: usable(THIRD) -> t = THIRD
  :: usable(TOKENS - 1) -> t = TOKENS - 1
  fi
}
inline some_list(l) {
  if
  :: l = 0
  :: copied -> l = 1
  fi
}
#define can_draw(l) (may_draw(l, 0) || may_draw(l, 1))
inline some_stretch(l, stretch) {
  if
  :: may_draw(l, 0) -> stretch = 0
  :: may_draw(l, 1) -> stretch = 1
  fi
}
inline some_draw(l, stretch) {
  if
  :: may_draw(0, 0) -> l = 0; stretch = 0
  :: may_draw(0, 1) -> l = 0; stretch = 1
  :: copied && may_draw(1, 0) -> l = 1; stretch = 0
  :: copied && may_draw(1, 1) -> l = 1; stretch = 1
  fi
}

#define unknown_to(t, l) (list[l].events & ~token[t].events)   /* the list has, the token not */
#define lost(t, l) lacks(list[l].events, token[t].events)
#define revoked(t, l) ((unknown_to(t, l) & (against[token[t].session] | (in_group(t) -> of_group : 0))) != 0)
/* A copy may have an entry past its life which the other list had purged when it sealed. */
#define outlived(t, l) (copied && ((token[t].session != VISITOR && past(list[l].subject)) || \
  past(list[l].made[token[t].session]) || group_outlived(t, l)))
#ifdef GROUPS
#define group_outlived(t, l) (token[t].in && past(list[l].group_made))
#else
#define group_outlived(t, l) false
#endif
#define hit(t, l) ((unknown_to(t, l) & hits[token[t].session]) != 0)
/* No proof has answered for it yet, or it knows a raise of everything that was lost as well. */
#define proves_more(t, l) (!lacks(token[t].events, list[l].events & proofs) || \
  lacks(list[l].events, token[t].events & of_everything))
#define same_birth(t, l) (token[t].birth == list[l].birth)

/* What a node does in one step, whatever else it has under way. */
active proctype Node() {
  byte t, k;          /* the token or session that it is about; the list asked */
  bit stretch;
end:
  do

  /* A request that reads: check_steps. It changes nothing unless it proves something, and then
   * Request goes on; so every token is tried at once, with every list. */
  :: d_step { tokens > 0 ->
      t = 0; k = 0;
      do
      :: t < tokens ->
        if
        :: usable(t) ->
          judge(t, k);
          if
          :: verdict == GOOD ->
            assert(same_birth(t, k));
            assert(!lost(t, k));
            assert(!hit(t, k) || FAR);
            assert(!in_group(t) || !group_ended(k))
          :: verdict == OTHER_LIST -> assert(!same_birth(t, k))
          :: verdict == ALL_REVOKED -> assert(revoked(t, k))
          :: verdict == REVOKED -> assert(revoked(t, k) || outlived(t, k));
            assert(!lost(t, k))
          :: verdict == TOO_OLD -> assert(revoked(t, k) || lost(t, k) || copied || FAR)
          :: verdict == FORGOTTEN -> assert(lost(t, k) && proves_more(t, k))
          fi
        :: else
        fi;
        if
        :: copied && k == 0 -> k = 1
        :: else -> k = 0; t++
        fi
      :: else -> break
      od;
      t = 0; k = 0
    }

  /* A login without a cookie: a new session, of the subject or a visitor's. */
  :: atomic { tokens < TOKENS && (created[1] == 0 || created[VISITOR] == 0) ->
    if
    :: created[0] == 0 -> t = 0
    :: created[0] && created[1] == 0 -> t = 1
    :: created[VISITOR] == 0 -> t = VISITOR
    fi;
    some_list(k);
    if
    :: created[t] = hour + 2
    :: hour < HOURS -> created[t] = hour + 1
    fi;
    d_step {
      joins = begins_in(t);
      if
      :: !joins || may_join(k) ->
        seal(k, t);
        hand_out();
        if
        :: joins -> is_member(0, t); is_member(1, t)
        :: else
        fi
      :: else -> created[t] = 0
      fi;
      joins = 0; t = 0; k = 0
    } }

  /* A save, of the session as it is: seal_steps. */
  :: atomic { tokens < TOKENS && some_usable -> some_token(t); some_list(k);
    d_step {
      judge(t, k);
      if
      :: verdict == GOOD -> whose = token[t].session; joins = in_group(t); seal(k, whose); hand_out()
      :: else
      fi;
      joins = 0; t = 0; k = 0
    } }

  /* A logout or delete_session(), delete_subject(), delete_group(), end_group(),
   * clear_all_sessions(): one transaction each. */
  :: atomic { (created[0] > 1 || created[1] > 1 || created[2] > 1) && events < EVENTS -> some_draw(k, stretch);
    if
    :: created[0] > 1 && list[k].session[0] != LAST -> d_step { raise_session(k, 0, stretch, true) }
    :: created[1] > 1 && list[k].session[1] != LAST -> d_step { raise_session(k, 1, stretch, true) }
    :: created[2] > 1 && list[k].session[2] != LAST -> d_step { raise_session(k, 2, stretch, true) }
    :: created[0] > 1 || created[1] > 1 -> d_step { raise_subject(k, stretch) }
    :: true -> d_step { raise_everything(k, 0, stretch) }
#ifdef GROUPS
    :: (created[1] > 1 || created[2] > 1) && !group_ended(k) -> d_step { raise_group(k, stretch, false) }
    :: !group_ended(k) -> d_step { raise_group(k, stretch, true) }
#endif
    fi;
    k = 0; stretch = 0 }
  od
}

/* A request of several steps, on either node: two are under way at a time. */
active [2] proctype Request() {
  mtype doing = IDLE;
  byte t, l;          /* the token that it is about; the list that it asks */
  byte slot;          /* of the token that is sealed but not handed out */
  byte seen;          /* the session's epoch that was judged, then the one that was adopted */
  byte stood;         /* the same of the subject, where the others are to be ended */
  byte own;           /* ghost: the session's own revocations, which it adopted */
  bit whole;          /* the other sessions are to be ended: delete_other_sessions() */
  bit regroups;       /* the save puts the session into the group, or takes it out */
  bit stretch;
end:
  do

  /* A check whose token proves that the list forgot: forgotten_steps. */
  :: atomic { doing == IDLE && first_free && some_usable && copied && events < EVENTS -> some_token(t); some_list(l);
    d_step {
      judge(t, l);
      if
      :: verdict == FORGOTTEN -> busy = busy | mine; doing = PROVING
      :: else -> t = 0; l = 0
      fi
    } }
  /* ... raise_if_forgotten, one transaction that judges again. */
  :: atomic { doing == PROVING && can_draw(l) -> some_stretch(l, stretch);
    d_step {
      judge(t, l);
      if
      :: verdict == FORGOTTEN || ASSUMED_PROVEN ->
        assert(same_birth(t, l));
        assert(lost(t, l));
        assert(proves_more(t, l));
        above = (ABOVE_ITS -> token[t].everything : 0);
        raise_everything(l, above, stretch);
        proofs = proofs | bit_of;
        judge(t, l);
        assert(verdict == ALL_REVOKED)
      :: else
      fi;
      done
    } }

#ifndef PROOFS_ONLY
  /* A save under another id (login of a visitor, cycle_key): judged and sealed in one lookup ... */
  :: atomic { doing == IDLE && first_free && some_usable && tokens < TOKENS && created[1] == 0 && events < EVENTS ->
    some_token(t); some_list(l);
    d_step {
      judge(t, l);
      if
      :: verdict == GOOD ->
        busy = busy | mine; doing = MOVING;
        slot = tokens;
        seen = list[l].session[token[t].session];
        whose = (created[0] == 0 -> 0 : 1);
        created[whose] = (token[t].session == VISITOR -> hour + 2 : created[token[t].session]);
        hits[whose] = hits[token[t].session] & ~of_session;
        joins = in_group(t);
        seal(l, whose);
        if
        :: joins -> is_member(0, whose); is_member(1, whose); joins = 0
        :: else
        fi
      :: else -> t = 0; l = 0
      fi
    } }
  /* ... then the old id ended by compare-and-raise, then handed out. */
  :: atomic { doing == MOVING && can_draw(l) -> some_stretch(l, stretch);
    d_step {
      whose = token[t].session;
      if
      :: list[l].session[whose] == seen || END_NOT_COMPARED ->
        assert(!lacks(token[t].events, list[l].events & hits[whose] & of_session));
        raise_session(l, whose, stretch, true);
        token[slot].out = 1
      :: else
      fi;
      done
    } }

  /* supersede(), delete_other_sessions() and a save that changes groups: judged ... */
  :: atomic { doing == IDLE && first_free && some_usable && tokens < TOKENS && events < EVENTS -> some_token(t); some_list(l);
    if
    :: true
    :: token[t].session != VISITOR && events + 1 < EVENTS -> whole = 1
#ifdef GROUPS
    :: token[t].in || may_join(l) -> regroups = 1
#endif
    fi;
    d_step {
      judge(t, l);
      if
      :: verdict == GOOD ->
        busy = busy | mine;
        seen = list[l].session[token[t].session];
        stood = (whole -> list[l].subject : 0);
        if
        :: whole && ENDED_UNCLAIMED -> doing = SPREADING
        :: regroups && CHANGED_UNCLAIMED -> doing = SEALING
        :: else -> doing = CLAIMING
        fi
      :: else -> t = 0; l = 0; whole = 0; regroups = 0
      fi
    } }
  /* ... the session's epoch compared and raised, adopting the number ... */
  :: atomic { doing == CLAIMING && can_draw(l) -> some_stretch(l, stretch);
    d_step {
      whose = token[t].session;
      if
      :: list[l].session[whose] == seen || SUPERSEDE_NOT_COMPARED ->
        raise_session(l, whose, stretch, false);
        seen = number; own = bit_of; stretch = 0;
        if
        :: whole -> doing = SPREADING
        :: regroups && in_group(t) -> doing = SEALING; is_no_member(l, whose)
        :: else -> doing = SEALING
        fi
      :: else -> done  /* to end the others all the same is a delete_subject() */
      fi
    } }
  /* ... where the others are to be ended the subject's as well, or judged again ... */
  :: atomic { doing == SPREADING && can_draw(l) -> some_stretch(l, stretch);
    d_step {
      if
      :: list[l].subject == stood ->
        raise_subject(l, stretch);
        doing = SEALING; stood = number; own = own | bit_of; stretch = 0
      :: else -> done  /* no purge in these runs, so it was revoked; as above */
      fi
    } }
  /* ... and saved. */
  :: atomic { doing == SEALING && tokens < TOKENS ->
    d_step {
      its = seen;
      subject_ = (whole -> stood : token[t].subject);
      judge_adopting(t, l);
      whose = token[t].session;
      joins = (regroups -> !in_group(t) : in_group(t));
      /* Whoever has claimed the session loses it to nothing but a logout. */
      assert(list[l].session[whose] == seen || list[l].session[whose] == LAST || CHANGED_UNCLAIMED);
      if
      :: verdict == GOOD && (in_group(t) || !joins || may_join(l)) ->
        assert(!lacks(token[t].events | own, list[l].events & hits[token[t].session]));
        seal(l, whose);
        hand_out();
        if
        :: regroups && joins -> is_member(l, whose)
        :: else
        fi
      :: else
      fi;
      joins = 0;
      done
    } }

#endif

  /* It dies: its browser gets nothing. */
  :: atomic { doing != IDLE -> d_step { done } }
  od
}

#define entry_old(made_) (made_ + ENTRIES_LIVE < now)
#define checkpoint_old(c) (list[l].reach[c] && list[l].replaced[c] + CHECKPOINTS_LIVE < now)

/* What happens to clocks, servers and files. */
#ifdef M_PURGE_NOT_REMEMBERED
#define remember skip
#else
#define remember list[l].purged = max(now, list[l].purged)
#endif

active proctype World() {
  byte l, c;
end:
  do
  :: hour < HOURS -> d_step {
      hour++;
      /* What no node accepts any more is forgotten, so that there are fewer states. */
      c = 0;
      do
      :: c < tokens && !busy ->
        if
        :: usable(c) -> skip
        :: else -> blank(c)
        fi;
        c++
      :: else -> break
      od;
      c = 0;
      do
      :: c < 3 && !busy && !FAR ->
        if
        :: created[c] > 1 && hour + 1 >= created[c] + AGE ->
          created[c] = 1; against[c] = 0; hits[c] = 0;
          list[0].session[c] = 0; list[0].made[c] = 0;
          list[1].session[c] = 0; list[1].made[c] = 0
        :: else
        fi;
        c++
      :: else -> break
      od;
      c = 0 }
  :: atomic { hour > 0 && back == 0 ->
    if
    :: back = 1
#if FAR > 1
    :: back = hour + 1
#endif
    fi }

#ifndef ONE_LIST
  /* A copy is taken, and from then on a node may ask either: a restore, a failover, a part of the
   * fleet that is cut off, or a copy that lives on beside. A copy that nobody asks before some
   * later time is a restore at that time. */
  :: atomic { !copied ->
    d_step {
      copied = 1;
      list[1].birth = list[0].birth;
      list[1].clock = list[0].clock;
      list[1].newest = list[0].newest;
      list[1].purged = list[0].purged;
      list[1].everything = list[0].everything;
      list[1].subject = list[0].subject;
#ifdef GROUPS
      list[1].group = list[0].group;
      list[1].group_made = list[0].group_made;
      list[1].members = list[0].members;
#endif
      c = 0;
      do
      :: c < 3 ->
        list[1].session[c] = list[0].session[c];
        list[1].made[c] = list[0].made[c];
        c++
      :: else -> break
      od;
      c = 0;
      do
      :: c <= NAMES ->
        list[1].reach[c] = list[0].reach[c];
        list[1].replaced[c] = list[0].replaced[c];
        c++
      :: else -> break
      od;
      c = 0;
      list[1].events = list[0].events;
      list[1].elsewhere = 1
    };
    if
    :: true
#ifndef ONE_BIRTH
    :: list[1].birth = 2  /* new-birth */
#endif
    fi }
#ifndef ONE_BIRTH
  /* Or it is lost whole, and made anew. */
  :: atomic { !copied && names < NAMES ->
    d_step { copied = 1; names++; list[1].birth = 2; list[1].newest = names; list[1].clock = 0 } }
#endif

#endif
  /* Entries and replaced checkpoints that are old enough go, one by one. */
  :: atomic { some_list(l);
    if
    :: list[l].session[0] && entry_old(list[l].made[0]) -> list[l].session[0] = 0; list[l].made[0] = 0; remember
    :: list[l].session[1] && entry_old(list[l].made[1]) -> list[l].session[1] = 0; list[l].made[1] = 0; remember
    :: list[l].session[2] && entry_old(list[l].made[2]) -> list[l].session[2] = 0; list[l].made[2] = 0; remember
    :: list[l].subject && entry_old(list[l].subject) -> list[l].subject = 0; remember
#ifdef GROUPS
    :: list[l].group && entry_old(list[l].group_made) -> list[l].group = 0; list[l].group_made = 0; remember
#endif
    :: checkpoint_old(1) -> list[l].reach[1] = 0; list[l].replaced[1] = 0; remember
    :: checkpoint_old(2) -> list[l].reach[2] = 0; list[l].replaced[2] = 0; remember
    :: checkpoint_old(NAMES) -> list[l].reach[NAMES] = 0; list[l].replaced[NAMES] = 0; remember
    :: else
    fi;
    l = 0 }
  od
}
