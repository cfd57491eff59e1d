#!/bin/sh
# build_node.sh ENGINE DEST: bring the jars of a node (elasticsearch or opensearch), check them, and
# compile its LocalNode. Needs Maven and a JDK of 17 or later.
set -eu
here=$(dirname "$0")/$1
mkdir -p "$2/classes"
mvn --quiet --batch-mode --file "$here/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DoutputDirectory="$(cd "$2" && pwd)/lib"
(cd "$2/lib" && sha256sum --quiet --check -) < "$here/jars.sha256"
javac --release 17 -cp "$2/lib/*" -d "$2/classes" "$here/LocalNode.java"
