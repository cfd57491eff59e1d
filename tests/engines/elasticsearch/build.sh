#!/bin/sh
# build.sh DEST: bring the jars of a node of Elasticsearch, check them, and compile LocalNode. Needs
# Maven and a JDK of 17 or later.
set -eu
here=$(dirname "$0")
mkdir -p "$1/classes"
mvn --quiet --batch-mode --file "$here/pom.xml" \
    org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
    -DoutputDirectory="$(cd "$1" && pwd)/lib"
(cd "$1/lib" && sha256sum --quiet --check -) < "$here/jars.sha256"
javac --release 17 -cp "$1/lib/*" -d "$1/classes" "$here/src/org/elasticsearch/node/LocalNode.java"
