import static org.codelibs.opensearch.runner.OpenSearchRunner.newConfigs;

import java.util.Arrays;
import java.util.List;
import java.util.StringJoiner;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/**
 * A node of OpenSearch for tests, with its own HTTP server on 127.0.0.1, from the jars of the public
 * repository. Arguments: the folder of its data, and the port; and of a node of a cluster its number
 * from 0, and the ports of all nodes among themselves, separated by commas.
 */
public final class LocalNode {
    private static final String[] MODULES = {
        "org.opensearch.index.mapper.MapperExtras",
        "org.opensearch.transport.Netty4",
        "org.opensearch.painless.Painless",
    };

    private LocalNode() {}

    /** Returns the classes of the modules, which 3.x names ...ModulePlugin and 2.x ...Plugin. */
    private static String modules() {
        StringJoiner found = new StringJoiner(",");
        for (String name : MODULES) {
            try {
                found.add(Class.forName(name + "ModulePlugin").getName());
            } catch (ClassNotFoundException older) {
                found.add(name + "Plugin");
            }
        }
        return found.toString();
    }

    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        runner.onBuild((number, settings) -> {
            settings.put("http.port", arguments[1]);
            settings.put("network.host", "127.0.0.1");
            if (arguments.length == 2) {
                settings.put("discovery.type", "single-node");
                settings.put("transport.port", "0");
            } else {
                String[] ports = arguments[3].split(",");
                List<String> hosts = Arrays.stream(ports).map(port -> "127.0.0.1:" + port).toList();
                settings.put("discovery.type", "zen");
                settings.put("node.name", "node-" + arguments[2]);
                settings.put("transport.port", ports[Integer.parseInt(arguments[2])]);
                settings.putList("discovery.seed_hosts", hosts);
                settings.putList("cluster.initial_cluster_manager_nodes", "node-0");
            }
            settings.put("cluster.routing.allocation.disk.threshold_enabled", false);
        });
        runner.build(newConfigs()
            .basePath(arguments[0])
            .clusterName("lexpand-tests")
            .numOfNode(1)
            .moduleTypes(modules()));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                runner.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        System.out.println("READY");
        Thread.currentThread().join();
    }
}
