package org.elasticsearch.node; // NodeConstruction and NodeServiceProvider are package-private

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.List;
import java.util.Map;
import org.elasticsearch.Build;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.http.AbstractHttpServerTransport;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.plugins.MockPluginsService;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.plugins.PluginsLoader;
import org.elasticsearch.plugins.PluginsService;
import org.elasticsearch.plugins.SearchPlugin;
import org.elasticsearch.rest.RestChannel;
import org.elasticsearch.rest.RestController;
import org.elasticsearch.rest.RestHandler;
import org.elasticsearch.rest.RestRequest;
import org.elasticsearch.rest.RestResponse;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.transport.netty4.Netty4Plugin;
import org.elasticsearch.xpack.core.ml.search.SparseVectorQueryBuilder;

/**
 * A node of Elasticsearch for tests, with its own HTTP server on 127.0.0.1, from the jars of the
 * public repository. Arguments: the folder of its data, and the port.
 */
public final class LocalNode {
    /** Registers the query of the sparse_vector field, which is a part of x-pack-core. */
    public static final class SparseVectors extends Plugin implements SearchPlugin {
        @Override
        public List<QuerySpec<?>> getQueries() {
            return List.of(new QuerySpec<SparseVectorQueryBuilder>(
                SparseVectorQueryBuilder.NAME,
                SparseVectorQueryBuilder::new,
                SparseVectorQueryBuilder::fromXContent));
        }
    }

    /** Answers GET /, whose module is not in the public repository. */
    private static final class Root implements RestHandler {
        @Override
        public List<Route> routes() {
            return List.of(new Route(RestRequest.Method.GET, "/"));
        }

        @Override
        public void handleRequest(RestRequest request, RestChannel channel, NodeClient client) {
            String about = "{\"version\":{\"number\":\"" + Build.current().version() + "\"}}";
            channel.sendResponse(new RestResponse(RestStatus.OK, "application/json", about));
        }
    }

    private static final class PlainNode extends Node {
        PlainNode(Environment environment) {
            super(NodeConstruction.prepareConstruction(environment, null, new NodeServiceProvider() {
                @Override
                PluginsService newPluginService(Environment env, PluginsLoader loader) {
                    return new MockPluginsService(
                        env.settings(), env, List.of(Netty4Plugin.class, SparseVectors.class));
                }
            }, false));
        }

        @Override
        protected void configureNodeAndClusterIdStateListener(ClusterService service) {}
    }

    private LocalNode() {}

    public static void main(String[] arguments) throws Exception {
        LogConfigurator.configureESLogging();
        Path home = Paths.get(arguments[0]).toAbsolutePath();
        Path config = home.resolve("config");
        Files.createDirectories(config);
        Settings settings = Settings.builder()
            .put("path.home", home.toString())
            .put("cluster.name", "lexpand-tests")
            .put("node.name", "local")
            .put("network.host", "127.0.0.1")
            .put("http.port", arguments[1])
            .put("transport.port", "0")
            .put("http.type", "netty4")
            .put("transport.type", "netty4")
            .put("discovery.type", "single-node")
            .put("node.processors", 2)
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .build();
        Node node = new PlainNode(
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), config, () -> "local"));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
        }));
        var dispatcher = AbstractHttpServerTransport.class.getDeclaredField("dispatcher");
        dispatcher.setAccessible(true);
        var transport = node.injector().getInstance(HttpServerTransport.class);
        ((RestController) dispatcher.get(transport)).registerHandler(new Root());
        node.start();
        System.out.println("READY");
        Thread.currentThread().join();
    }
}
