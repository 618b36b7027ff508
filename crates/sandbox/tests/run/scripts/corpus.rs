//! Scripts for each construct, and for each way in which a script could notice that it is marked.

/// Which shells can read it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Both,
    Bash,
}

use For::{Bash, Both};

/// Name, shells, text.
pub(super) const CORPUS: &[(&str, For, &str)] = &[
    ("if", Both, "x=1\nif [ \"$x\" = 1 ]; then\n  echo one\nelse\n  echo other\nfi\necho $?\n"),
    (
        "elif",
        Both,
        "for x in 1 2 3 4; do if test $x = 1; then echo a; elif test $x = 2; then echo b; elif (exit 7); then :; else echo $?; fi; done",
    ),
    (
        "if-without-else",
        Both,
        "if false; then echo no; fi; echo $?\nif (exit 5); then echo no; elif (exit 6); then echo no; fi\necho $?\n",
    ),
    (
        "if-status",
        Both,
        "if (exit 9); then :; else echo $?; fi\nif ! (exit 9); then echo $?; fi\nif (exit 3) || (exit 4); then :; else echo \"$?\"; fi\n",
    ),
    ("else-after-not-found", Both, "if no-such-command-at-all 2>/dev/null; then :; else echo $?; fi\n"),
    (
        "case",
        Both,
        "for x in a b c '' 'a b' '*'; do case \"$x\" in a) echo A;; b|c) echo BC;; '') ;; '*') echo star ;; (*) echo rest;; esac; echo $?; done",
    ),
    ("case-no-match", Both, "(exit 3); case x in y) echo y;; esac; echo $?\nfalse\ncase x in esac\necho $?\n"),
    (
        "case-empty-item",
        Both,
        "(exit 3); case x in x) ;; *) echo no;; esac; echo $?\n(exit 4)\ncase x in x)\n# nothing\n;; esac\necho $?",
    ),
    (
        "case-status",
        Both,
        "(exit 3); case x in x) echo $?;; esac; case $(exit 5) in '') echo $?;; esac; case `exit 6` in *) echo $?; esac\n",
    ),
    ("case-open-end", Both, "case b in a) echo a;; b) echo b\nesac\ncase c in a) echo a;; b) echo b; esac\necho $?"),
    (
        "case-fallthrough",
        Bash,
        "for x in a b c; do case $x in a) echo a;& b) echo b;;& c) echo c;; *) echo rest;& z) echo z;; esac; done; case q in q) echo q;& esac; case q in q) (exit 4);;& esac; echo $?",
    ),
    (
        "while",
        Both,
        "n=0\nwhile [ $n -lt 3 ]; do n=$((n + 1)); echo $n; done\necho $?\nwhile false; do :; done; echo $?",
    ),
    ("until", Both, "n=0; until [ $n -ge 3 ]; do echo $?; n=$((n+1)); done; echo $n"),
    (
        "loop-control",
        Both,
        "for i in 1 2 3 4; do [ $i = 2 ] && continue; [ $i = 4 ] && break; echo $i; done; echo $?; while :; do while :; do break 2; done; done; echo $?",
    ),
    (
        "loop-status",
        Both,
        "for i in 1 2; do (exit $i); done; echo $?; (exit 7); for i in a b; do echo $?; (exit 8); done; for i in; do :; done; echo $?",
    ),
    (
        "for-arguments",
        Both,
        "set -- a 'b c' d; for x; do echo \"$x\"; done; for x do echo $x; done\nfor x\nin q r\ndo echo $x; done",
    ),
    (
        "arithmetic-for",
        Bash,
        "for ((i = 0; i < 3; i++)); do echo $i; done; for (( ; ; )); do break; done; ((i > 2)) && echo yes; ((0)) || echo $?",
    ),
    (
        "and-or",
        Both,
        "true && echo a; false || echo $?; (exit 4) || echo $?; (exit 5) && echo no; echo $?\ntrue && false || echo $?; false && true || (exit 9) || echo $?; true || echo no && echo yes",
    ),
    ("and-or-lines", Both, "true &&\n  echo next ||\n  echo no\n! true || echo no; ! false && echo $?"),
    (
        "or-status-to-function",
        Both,
        "die() { code=$?; echo \"$code $1\"; return 3; }\n(exit 42) || die a\n(exit 1) || die b || echo $?\nno-such 2>/dev/null || die c\necho $?",
    ),
    (
        "subshell",
        Both,
        "(echo a; exit 3); echo $?; (cd /; pwd); pwd; x=1; (x=2; echo $x); echo $x; ( false || (exit 12) ); echo $?",
    ),
    (
        "pids",
        Both,
        "sh -c 'echo $PPID $$'; (sh -c 'echo $PPID'); echo $(sh -c 'echo $$'); { sh -c 'echo $$'; }; (true; sh -c 'echo $$'); sh -c 'true; sh -c \"echo \\$\\$\"'; sh -c 'true && sh -c \"echo \\$\\$\"'",
    ),
    (
        "pids-bash",
        Bash,
        "bash -c 'echo $$; bash -c \"echo \\$\\$\"'; bash -c 'true && bash -c \"echo \\$\\$\"'; (bash -c 'echo $$'); (true; bash -c 'echo $$'); bash -c 'if true; then bash -c \"echo \\$\\$\"; fi'; bash -c 'bash -c \"echo \\$\\$\" || true'; echo $BASHPID",
    ),
    (
        "pipeline",
        Both,
        "echo b a | tr ' ' '\\n' | sort | while read x; do echo \"[$x]\"; done; true | false; echo $?; false | true; echo $?; ! true | true; echo $?",
    ),
    (
        "pipefail",
        Bash,
        "set -o pipefail; false | true; echo $?; (exit 3) | (exit 4) | true; echo $?; true | (exit 5) || echo $?",
    ),
    ("pipestatus", Bash, "false | true | (exit 3); echo ${PIPESTATUS[@]}; true; echo ${PIPESTATUS[0]}"),
    (
        "functions",
        Both,
        "f() { echo $# $1 $?; return $2; }\n(exit 6)\nf a 4; echo $?\nf b 0 && echo ok; g() (echo sub; exit 9); g; echo $?\nh() { (exit 11); }\nh; echo $?\ni() if true; then echo if; fi\ni",
    ),
    (
        "function-keyword",
        Bash,
        "function f { echo f $FUNCNAME ${FUNCNAME[@]} $LINENO; local x=1; return 7; }; f; echo $?\nfunction g() { f; }; g",
    ),
    ("recursion", Both, "f() { if [ $1 -gt 0 ]; then echo $1; f $(($1 - 1)); else return 5; fi; }; f 5; echo $?"),
    (
        "errexit",
        Both,
        "set -e; if false; then :; fi; false || true; ! true; (exit 3) && true; f() { false; echo in; }; f || true; while false; do :; done; case x in y) ;; esac; echo before; (exit 4); echo after",
    ),
    (
        "errexit-in-else",
        Both,
        "set -e; if (exit 3); then :; else echo $?; fi; if (exit 3); then :; else (exit 4); fi; echo after",
    ),
    (
        "errexit-or",
        Both,
        "set -e\nf() { return 6; }\nf || echo $?\nf && echo no\necho still\nf || (exit 7)\necho after",
    ),
    ("errexit-function", Both, "set -e; f() { echo a; (exit 9); echo b; }; f; echo c"),
    ("errexit-case", Both, "set -e; (exit 0); case a in a) (exit 3); echo no;; esac; echo after"),
    (
        "nounset",
        Both,
        "set -u; x=; [ -n \"${y-}\" ] && [ \"$y\" = 1 ] || echo unset; case ${z:-d} in d) echo d;; esac; if [ \"$nothing\" = 1 ]; then :; fi; echo after",
    ),
    (
        "nounset-later",
        Both,
        "set -u\nif false && [ $undefined = 1 ]; then :; fi; echo fine; for i in 1; do echo $i $undefined; done",
    ),
    ("trap-exit", Both, "trap 'echo bye $?' EXIT; if true; then exit 7; fi"),
    ("trap-signals", Both, "trap 'echo got' USR1; kill -USR1 $$; echo after $?; trap - USR1; (exit 3); echo $?"),
    (
        "trap-err",
        Bash,
        "trap 'echo err $? $LINENO' ERR; false; (exit 3) || true; if false; then :; fi; (exit 4); true && (exit 5); echo end",
    ),
    ("trap-debug", Bash, "trap 'echo \"+$BASH_COMMAND\"' DEBUG; echo a; if true; then echo b; fi"),
    ("trap-return", Bash, "f() { trap 'echo ret' RETURN; echo in; }; f; echo out"),
    (
        "status",
        Both,
        "false\necho $?\n(exit 77)\necho $?\ntrue; echo $?\n(exit 2); x=$?; echo $x\n(exit 3)\ny=1\necho $?\n(exit 4); y=$(echo $?); echo $y",
    ),
    ("status-return", Both, "f() { (exit 5); return; }; f; echo $?; (exit 6)\nexit"),
    (
        "lineno",
        Both,
        "echo $LINENO\nif true; then\n echo $LINENO\nelse\n :\nfi\ncase a in\n a) echo $LINENO;;\nesac; echo $LINENO\n\nf() {\n  echo $LINENO\n}\nf\nno-such-command; echo $?\n",
    ),
    ("names", Both, "echo $0 $# \"$@\"; set -- 1 2 3; shift; echo $* $#"),
    (
        "bash-source",
        Bash,
        "echo ${BASH_SOURCE[0]} $BASH_SUBSHELL ${BASH_LINENO[0]}; f() { caller; caller 0; echo ${FUNCNAME[0]}; }; f",
    ),
    (
        "here-documents",
        Both,
        "x=1; cat <<E1; cat <<-'E2'; echo after\na $x $(echo b) `echo c` ${x:-d}\nif true; then\nE1\n\traw $x\n\tE2\nif cat <<E3\nin if\nE3\nthen echo ok; fi\ncat <<E4 && echo and\nbody\nE4\nwhile read l; do echo \"[$l]\"; done <<E5\none\ntwo\nE5\n",
    ),
    (
        "here-string",
        Bash,
        "while read -r a; do echo \"<$a>\"; done <<< \"$(printf 'x\\ny')\"; cat <(echo p) <(echo q); a=(1 'two 2' $(echo 3)); echo ${#a[@]} ${a[1]}",
    ),
    (
        "eval",
        Both,
        "eval 'if true; then echo a; fi'; eval \"x=5; (exit 6)\"; echo $? $x; eval 'f() { echo f; }'; f; eval 'set -x; :; set +x' 2>&1",
    ),
    (
        "source",
        Both,
        "printf 'if [ \"$1\" = q ]; then echo q; else echo lib $?; fi\\nreturn 5\\necho no\\n' > lib.sh; (exit 3); . ./lib.sh; echo $?; test -f lib.sh && . ./lib.sh || echo $?; x=./lib.sh; . \"$x\"; echo $?",
    ),
    (
        "source-traces",
        Both,
        "printf 'set -x\\n' > lib.sh; . ./lib.sh; if true; then echo a; fi; (exit 3) || echo $?; set +x; case a in a) ;; esac",
    ),
    ("source-missing", Both, ". ./missing-file; echo $?; echo after"),
    ("exec", Both, "if true; then exec echo replaced; fi; echo no"),
    (
        "exec-descriptors",
        Both,
        "exec 3>out3 4<&0; echo three >&3; exec 3>&-; cat out3; ls /proc/self/fd | wc -l; exec 2>err; ls /nonexistent; echo $?; wc -l < err",
    ),
    (
        "descriptors",
        Both,
        "ls /proc/self/fd; ls /proc/$$/fd; sh -c 'ls /proc/self/fd'; echo x > f; while read l; do ls /proc/self/fd; done < f",
    ),
    (
        "environment",
        Both,
        "env | sort | grep -v '^_='; tr '\\0' '\\n' < /proc/self/environ | sort | grep -v '^_='; echo \"$-\"; tr '\\0' ' ' < /proc/$$/cmdline; env -i sh -c 'env | sort | grep -v ^_='; ps x 2>/dev/null | wc -l",
    ),
    ("variables", Both, "if true; then set | grep -v '^_=' | grep -iE 'assay|mark' ; fi; set -o; echo done"),
    (
        "show-functions",
        Bash,
        "f() { if true; then echo f; fi; }; declare -f f; type f; declare -F; set | grep -A9 '^f '; export -f f; bash -c f; env | grep -A3 BASH_FUNC",
    ),
    ("last-argument", Both, "echo a b; echo $_; if true; then mkdir -p d; cd $_ && pwd; fi"),
    (
        "background",
        Both,
        "(exit 3) & wait $!; echo $?; { if true; then echo bg; fi; } & wait; true && (exit 4) & p=$!; wait $p; echo $?",
    ),
    (
        "read-stdin",
        Both,
        "read a; if read b; then echo \"$b $a\"; fi; while read l; do echo \"l $l\"; done; read c || echo $?",
    ),
    (
        "stdin-script",
        Both,
        "printf 'if true; then echo in; else echo out; fi\\n(exit 4) || echo $?\\n' | sh; echo 'echo $0; exit 3' | sh -s a b; echo $?",
    ),
    ("crlf", Both, "echo a\r\necho b\r\nx=1\r\n"),
    ("crlf-if", Both, "if true; then\r\necho b\r\nfi\r\n"),
    ("no-newline", Both, "if true; then echo a; fi; echo b"),
    ("no-newline-comment", Both, "(exit 3) || echo $? # end"),
    (
        "xtrace",
        Both,
        "set -x; if [ a = b ]; then echo no; else echo yes; fi; (exit 3) || echo $?; for i in 1 2; do echo $i; done; case a in b) ;; a) ;; esac; set +x; echo quiet",
    ),
    ("xtrace-option", Both, "#!/bin/sh -x\nset -o xtrace\nif true; then echo a; fi\nset +o xtrace\necho $?"),
    ("xtrace-errexit", Both, "set -eux\ntrue && echo a\nf() { return 6; }\nf || echo $?\nf\necho no"),
    ("xtrace-ps4", Both, "PS4='> '; set -x; if true; then echo a; fi"),
    ("verbose", Both, "set -v; if true; then echo a; fi\necho b\nset +v\necho c"),
    ("noexec", Both, "if true; then echo a; fi; set -n; echo never"),
    ("syntax-error", Both, "echo a\nif true; then\necho b\n"),
    ("syntax-error-late", Both, "if true; then echo a; fi\nexit 3\nfi )\n"),
    ("payload", Both, "if true; then sed '1,/^#END/d' \"$0\"; fi; exit 0\n#END\nif ' \" ` raw payload $((\n"),
    ("aliases", Both, "alias ll='echo aliased'\nll x\nif true; then ll y; fi\n"),
    ("comments", Both, "# if then\nif true # then\nthen # else\n echo '#' a#b \\# \"#\" # fi\nfi # done\n"),
    (
        "quotes",
        Both,
        "if [ \"a'b\" = a\"'\"b ]; then echo 'it'\"'\"'s' \"$(echo \"in $(echo 'deep)')\")\" `echo \\`echo back\\`` \"${x:-\"q }\"}\" $((1 + (2 * 3))); fi",
    ),
    ("continued", Both, "if [ a = a ] \\\n  && [ b = b ] \\\n  ; then echo \\\n  yes; fi; ec\\\nho joined"),
    (
        "brackets",
        Bash,
        "x=abc; if [[ $x == a* && ! -f nothing ]]; then echo m; fi; [[ $x =~ ^(a)(b) ]] && echo ${BASH_REMATCH[2]}; [[ -n $y ]] || echo $?; [[ ( a < b ) ]] && echo lt",
    ),
    ("select", Bash, "printf '1\\n' | { select x in a b; do echo $x; break; done 2>/dev/null; }"),
    ("extglob", Bash, "shopt -s extglob\ncase abc in @(abc|d)) echo e;; esac"),
    (
        "reserved-arguments",
        Both,
        "echo if then else fi for do done case esac { } !; if test if = if; then echo fi; fi; for in in in do; do echo $in; done",
    ),
    (
        "dangling",
        Both,
        "{ echo a; } && { echo b; } | cat; if true; then { echo c; } fi; (echo d) && (exit 3) || echo $?; ! { false; }; echo $?",
    ),
    (
        "redirected",
        Both,
        "if true; then echo a; else echo b; fi > out; cat < out; { echo e >&2; } 2>&1; for i in 1 2; do echo $i; done >> out; wc -l < out; ((1)) 2>/dev/null; echo $?; f() { echo f; } > fout; f; cat fout",
    ),
    ("ifs", Both, "IFS=0123456789/.; if (exit 10); then :; else echo \"$?\"; fi; x=a1b; for p in $x; do echo $p; done"),
    ("glob-off", Both, "set -f; if true; then echo *; fi; set +f; (exit 3) || echo [0]"),
    (
        "values",
        Both,
        "x='a b'; y='q\"uote'; z='new\nline'; t=\"$(printf '\\t')\"; if [ \"$x$y$z$t\" = '' ]; then :; fi; case $z in *line) echo l;; esac; v=$(printf '%5000s' x); [ \"$v\" ] && echo long",
    ),
    (
        "umask-cd",
        Both,
        "umask 077; if mkdir d && cd d; then pwd; fi; touch f; ls -l f | cut -c1-10; cd - >/dev/null; pwd",
    ),
    ("readonly-path", Both, "PATH=; if true; then echo a; fi; cd /; [ -w /.assay ] || echo none"),
    ("names-marks", Both, "if [ -w /.assay/x/1 ]; then echo no; else echo $?; fi"),
    (
        "writes-question",
        Both,
        "[ -w . ] && echo w; [ -w /usr ] || echo ro; test -w nothing; echo $?; [ ! -w . ] || echo no",
    ),
    (
        "getopts",
        Both,
        "set -- -a -b v rest; while getopts ab: o; do case $o in a) echo a;; b) echo $OPTARG;; esac; done; shift $((OPTIND - 1)); echo $1",
    ),
    ("printf-loop", Both, "i=0; while :; do i=$((i+1)); if [ $i -gt 300 ]; then break; fi; done; echo $i"),
    (
        "nested",
        Both,
        "for a in 1 2; do for b in 1 2; do if [ $a = $b ]; then case $a in 1) while true; do break; done; echo one;; *) until true; do :; done; echo two;; esac; fi; done; done",
    ),
    ("time", Bash, "time true 2>/dev/null; if time false; then :; else echo $?; fi 2>/dev/null"),
    ("coproc", Bash, "coproc cat; echo hi >&${COPROC[1]}; read -u ${COPROC[0]} x; echo $x"),
    (
        "self-test",
        Both,
        "for s in sh bash; do $s -c 'if [ \"$1\" = a ]; then exit 3; fi' n a; echo $?; $s -ec 'false || (exit 4); echo no'; echo $?; done",
    ),
    (
        "shebang",
        Both,
        "printf '#!/bin/sh -e\\nif [ $# = 2 ]; then echo $0 $1; fi\\nfalse\\necho no\\n' > s; chmod +x s; ./s a b; echo $?; printf 'if true; then echo bare; fi\\n' > t; chmod +x t; ./t; echo $?",
    ),
];
