import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tokenattributes.TermFrequencyAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.FieldType;
import org.apache.lucene.document.StringField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.FieldInvertState;
import org.apache.lucene.index.IndexOptions;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.BoostQuery;
import org.apache.lucene.search.CollectionStatistics;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.TermStatistics;
import org.apache.lucene.search.similarities.Similarity;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.Version;

/**
 * Indexes impacts in Anserini's JsonVectorCollection and searches them with its JSON topics, without
 * Anserini. Arguments: the documents ({"id", "vector"} per line), the queries ({"qid", "vector"} per
 * line), a folder for the index, the number of hits, and the run to write in TREC's format. Prints
 * the version of Lucene.
 */
public final class ImpactSearch {
    private static final String ID = "id";
    private static final String IMPACTS = "impacts";
    private static final ObjectMapper JSON = new ObjectMapper();

    /** The weight in the query times that in the document, as Anserini's ImpactSimilarity has it. */
    private static final class ImpactSimilarity extends Similarity {
        @Override
        public long computeNorm(FieldInvertState state) {
            return 1;
        }

        @Override
        public SimScorer scorer(float boost, CollectionStatistics collection, TermStatistics... terms) {
            return new SimScorer() {
                @Override
                public float score(float frequency, long norm) {
                    return boost * frequency;
                }
            };
        }
    }

    /** Each term once, with its weight as its frequency. */
    private static final class Impacts extends TokenStream {
        private final CharTermAttribute term = addAttribute(CharTermAttribute.class);
        private final TermFrequencyAttribute frequency = addAttribute(TermFrequencyAttribute.class);
        private final Iterator<Map.Entry<String, JsonNode>> weights;
        private final String id;

        Impacts(String id, JsonNode vector) {
            this.id = id;
            weights = vector.fields();
        }

        @Override
        public boolean incrementToken() {
            if (!weights.hasNext()) {
                return false;
            }
            clearAttributes();
            Map.Entry<String, JsonNode> next = weights.next();
            if (!next.getValue().isInt() || next.getValue().intValue() < 1) {
                throw new IllegalArgumentException(String.format(
                    "the weight of '%s' in document '%s' must be an integer >= 1, got %s: export with --scale",
                    next.getKey(), id, next.getValue()));
            }
            term.append(next.getKey());
            frequency.setTermFrequency(next.getValue().intValue());
            return true;
        }
    }

    private ImpactSearch() {}

    public static void main(String[] arguments) throws IOException {
        int k = Integer.parseInt(arguments[3]);
        StringBuilder run = new StringBuilder();
        try (Directory directory = FSDirectory.open(Path.of(arguments[2]))) {
            index(Path.of(arguments[0]), directory);
            try (DirectoryReader reader = DirectoryReader.open(directory)) {
                IndexSearcher searcher = new IndexSearcher(reader);
                searcher.setSimilarity(new ImpactSimilarity());
                forEachLine(Path.of(arguments[1]), query -> search(searcher, query, k, run));
            }
        }
        Files.writeString(Path.of(arguments[4]), run);
        System.out.println("Lucene " + Version.LATEST);
    }

    private static void index(Path documents, Directory directory) throws IOException {
        FieldType type = new FieldType();
        type.setIndexOptions(IndexOptions.DOCS_AND_FREQS);
        type.freeze();
        IndexWriterConfig settings = new IndexWriterConfig(null).setSimilarity(new ImpactSimilarity());
        try (IndexWriter writer = new IndexWriter(directory, settings)) {
            forEachLine(documents, line -> {
                String id = line.required(ID).asText();
                Document document = new Document();
                document.add(new StringField(ID, id, Field.Store.YES));
                document.add(new Field(IMPACTS, new Impacts(id, line.required("vector")), type));
                try {
                    writer.addDocument(document);
                } catch (IOException error) {
                    throw new UncheckedIOException(error);
                }
            });
        }
    }

    private static void search(IndexSearcher searcher, JsonNode query, int k, StringBuilder run) {
        BooleanQuery.Builder clauses = new BooleanQuery.Builder();
        query.required("vector").fields().forEachRemaining(weight -> clauses.add(
            new BoostQuery(
                new TermQuery(new Term(IMPACTS, weight.getKey())), weight.getValue().floatValue()),
            BooleanClause.Occur.SHOULD));
        try {
            int rank = 0;
            for (ScoreDoc hit : searcher.search(clauses.build(), k).scoreDocs) {
                run.append(String.format(
                    Locale.ROOT,
                    "%s Q0 %s %d %s lucene%n",
                    query.required("qid").asText(),
                    searcher.storedFields().document(hit.doc).get(ID),
                    ++rank,
                    hit.score));
            }
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private static void forEachLine(Path path, Consumer<JsonNode> use) throws IOException {
        try (BufferedReader reader = Files.newBufferedReader(path)) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                use.accept(JSON.readTree(line));
            }
        }
    }
}
