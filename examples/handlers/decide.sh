#!/bin/sh
# Decides about events by the highest level, in a script that is run once for each question.
#
# In ven.toml:
#
#     [handler]
#     kind = "exec"
#     mode = "oneshot"
#     command = ["/bin/sh", "/etc/ven/decide.sh"]
#     default = "optOut"             # where the script fails, or takes longer than timeout = "3s"
#     env = { MAX_LEVEL = "2" }
#
# The question is one line of JSON on stdin. The answer is a word on stdout, optIn or optOut, or {"opt":"optIn","reason":"..."}.
# Exit with 0 when it is done, with anything else when not. What is written to stderr goes to the VEN's log.
#
# To try it by hand:  echo '{"id":1,"kind":"decide","event":{"level":1}}' | ./decide.sh

read -r question

# The VEN also tells of near, started, interval, completed and stopped; a script that only decides says yes to that.
case $question in
*'"kind":"decide"'*) ;;
*) exit 0 ;;
esac

# The last "level": of an event that has changed, the one before it comes first. With jq: level=$(printf '%s' "$question" | jq .event.level)
level=$(printf '%s\n' "$question" | sed -n 's/.*"level":\([0-9][0-9]*\).*/\1/p')

if [ -z "$level" ]; then
    echo '{"opt":"optOut","reason":"it has no level"}'
elif [ "$level" -gt "${MAX_LEVEL:-1}" ]; then
    echo "{\"opt\":\"optOut\",\"reason\":\"level $level is more than ${MAX_LEVEL:-1}\"}"
else
    echo "{\"opt\":\"optIn\",\"reason\":\"level $level\"}"
fi
