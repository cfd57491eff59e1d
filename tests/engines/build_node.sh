#!/bin/sh
# build_node.sh ENGINE-VERSION DEST: bring the jars of a node (elasticsearch or opensearch) or of
# lucene, check them, and compile the program that uses them. Needs Maven and the JDK that jdk.sh finds.
set -eu
engine=${1%%-*} version=${1#*-}
here=$(dirname "$0")/$engine
jdk=$("$(dirname "$0")/jdk.sh" "$1")
mkdir -p "$2/classes"
mvn --quiet --batch-mode --file "$here/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -Dversion.engine="$version" -DoutputDirectory="$(cd "$2" && pwd)/lib"
(cd "$2/lib" && sha256sum --quiet --check -) < "$here/jars-$version.sha256"
"$jdk/bin/javac" -cp "$2/lib/*" -d "$2/classes" "$here"/*.java
echo "$jdk" > "$2/jdk"
