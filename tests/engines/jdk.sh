#!/bin/sh
# jdk.sh ENGINE-VERSION: print the folder of a JDK for a node. Elasticsearch 9, OpenSearch 3 and Lucene
# 10 need 21 or later, older ones 17 or later. Looks in JAVA_HOME, in the PATH and in /usr/lib/jvm.
case $1 in
    elasticsearch-8* | opensearch-2* | lucene-9*) least=17 ;;
    *) least=21 ;;
esac
in_path=$(command -v javac 2>/dev/null) && in_path=$(dirname "$(dirname "$(readlink -f "$in_path")")")
for home in "${JAVA_HOME:-}" "$in_path" /usr/lib/jvm/*; do
    [ -x "$home/bin/javac" ] || continue
    version=$("$home/bin/javac" -version 2>&1 | sed 's/[^0-9]*\([0-9]*\).*/\1/')
    if [ "${version:-0}" -ge "$least" ]; then
        echo "$home"
        exit 0
    fi
done
echo "$1 needs a JDK of $least or later: install one, and set JAVA_HOME to it" >&2
exit 1
