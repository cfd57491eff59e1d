import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tokenattributes.TermFrequencyAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.FieldType;
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
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.search.TermStatistics;
import org.apache.lucene.search.TopScoreDocCollectorManager;
import org.apache.lucene.search.similarities.Similarity;
import org.apache.lucene.store.FSDirectory;

/**
 * Impacts in Lucene as Anserini stores them: the frequency of a term is its weight times 100,
 * rounded. A score is the sum of frequency times query weight. The index has one segment. Commands
 * come on standard input; see lucene.py.
 */
public final class LuceneServer {
  static final float SCALE = 100f;
  static final String FIELD = "splade";

  /** The frequency itself is the score of a term. */
  static final class Impact extends Similarity {
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

  /** The terms of one document with their frequencies. */
  static final class Impacts extends TokenStream {
    private final CharTermAttribute term = addAttribute(CharTermAttribute.class);
    private final TermFrequencyAttribute frequency = addAttribute(TermFrequencyAttribute.class);
    private int[] terms;
    private float[] weights;
    private int next;

    Impacts of(int[] terms, float[] weights) {
      this.terms = terms;
      this.weights = weights;
      next = 0;
      return this;
    }

    @Override
    public boolean incrementToken() {
      if (next == terms.length) {
        return false;
      }
      clearAttributes();
      term.append(Integer.toString(terms[next]));
      frequency.setTermFrequency(Math.max(1, Math.round(weights[next] * SCALE)));
      next++;
      return true;
    }
  }

  /** Rows of vectors in a folder (retrieval/vectors.py), read one after the other. */
  static final class Rows implements AutoCloseable {
    private final FileChannel starts;
    private final FileChannel terms;
    private final FileChannel weights;
    private long start;

    Rows(Path folder) throws Exception {
      starts = FileChannel.open(folder.resolve("indptr.i64"));
      terms = FileChannel.open(folder.resolve("terms.u32"));
      weights = FileChannel.open(folder.resolve("weights.f32"));
      start = bytes(starts, 8).getLong();
    }

    long count() throws Exception {
      return starts.size() / 8 - 1;
    }

    int nextLength() throws Exception {
      long end = bytes(starts, 8).getLong();
      int length = (int) (end - start);
      start = end;
      return length;
    }

    int[] nextTerms(int length) throws Exception {
      int[] read = new int[length];
      bytes(terms, 4 * length).asIntBuffer().get(read);
      return read;
    }

    float[] nextWeights(int length) throws Exception {
      float[] read = new float[length];
      bytes(weights, 4 * length).asFloatBuffer().get(read);
      return read;
    }

    private static ByteBuffer bytes(FileChannel file, int length) throws Exception {
      ByteBuffer buffer = ByteBuffer.allocate(length).order(ByteOrder.nativeOrder());
      while (buffer.hasRemaining() && file.read(buffer) >= 0) {}
      return buffer.flip();
    }

    @Override
    public void close() throws Exception {
      starts.close();
      terms.close();
      weights.close();
    }
  }

  static void build(Path documents, Path index) throws Exception {
    FieldType type = new FieldType();
    type.setIndexOptions(IndexOptions.DOCS_AND_FREQS);
    type.setOmitNorms(true);
    type.freeze();
    Impacts impacts = new Impacts();
    Field field = new Field(FIELD, impacts, type);
    Document document = new Document();
    document.add(field);
    IndexWriterConfig config = new IndexWriterConfig(null).setSimilarity(new Impact()).setRAMBufferSizeMB(512);
    config.setUseCompoundFile(false);
    try (Rows rows = new Rows(documents);
        IndexWriter writer = new IndexWriter(FSDirectory.open(index), config)) {
      for (long i = 0; i < rows.count(); i++) {
        int length = rows.nextLength();
        impacts.of(rows.nextTerms(length), rows.nextWeights(length));
        writer.addDocument(document);
      }
      writer.forceMerge(1);
      writer.commit();
    }
  }

  static List<Query> load(Path folder) throws Exception {
    List<Query> queries = new ArrayList<>();
    try (Rows rows = new Rows(folder)) {
      for (long i = 0; i < rows.count(); i++) {
        int length = rows.nextLength();
        int[] terms = rows.nextTerms(length);
        float[] weights = rows.nextWeights(length);
        BooleanQuery.Builder query = new BooleanQuery.Builder();
        for (int j = 0; j < length; j++) {
          Query term = new TermQuery(new Term(FIELD, Integer.toString(terms[j])));
          query.add(new BoostQuery(term, weights[j]), BooleanClause.Occur.SHOULD);
        }
        queries.add(query.build());
      }
    }
    return queries;
  }

  public static void main(String[] arguments) throws Exception {
    BufferedReader input = new BufferedReader(new InputStreamReader(System.in));
    IndexSearcher searcher = null;
    List<Query> queries = List.of();
    for (String line = input.readLine(); line != null; line = input.readLine()) {
      String[] words = line.split("\t");
      StringBuilder answer = new StringBuilder("ok");
      switch (words[0]) {
        case "build" -> build(Path.of(words[1]), Path.of(words[2]));
        case "open" -> {
          searcher = new IndexSearcher(DirectoryReader.open(FSDirectory.open(Path.of(words[1]))));
          searcher.setSimilarity(new Impact());
          searcher.setQueryCache(null);
        }
        case "load" -> queries = load(Path.of(words[1]));
        case "cpu" -> {
          var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
          answer.append('\t').append(system.getProcessCpuTime());
        }
        case "search" -> {
          int k = Integer.parseInt(words[2]);
          long start = System.nanoTime();
          ScoreDoc[] found =
              searcher.search(queries.get(Integer.parseInt(words[1])), new TopScoreDocCollectorManager(k, null, k))
                  .scoreDocs;
          answer.append('\t').append(System.nanoTime() - start);
          for (ScoreDoc hit : found) {
            answer.append('\t').append(hit.doc);
          }
        }
        default -> throw new IllegalArgumentException(line);
      }
      System.out.println(answer);
    }
  }
}
