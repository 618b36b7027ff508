# Each line: input, and the first line of what tally says of it.
set -eu
says() {
    found=$(printf "$1" | ./tally | head -n 1)
    [ "$found" = "$2" ] || { echo "tally of \"$1\": $found, not $2" >&2; exit 1; }
}
says '' '0 lines, 0 words, 0 bytes'
says 'one two\nthree\n' '2 lines, 3 words, 14 bytes'
says '  no end' '0 lines, 2 words, 8 bytes'
[ "$(printf 'Anna' | ./tally | tr '\n' ' ')" = '0 lines, 1 words, 4 bytes a 2 n 2 ' ]
! ./tally --no-such 2>/dev/null
