import java.nio.file.Path;
import java.util.List;
import java.util.Map;

import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.env.Environment;
import org.opensearch.index.mapper.MapperExtrasPlugin;
import org.opensearch.index.reindex.ReindexPlugin;
import org.opensearch.ingest.common.IngestCommonPlugin;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.painless.PainlessPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.transport.Netty4Plugin;

/**
 * Runs one OpenSearch node in this JVM until SIGTERM: {@code OsNode CONFIG_DIR key=value...}.
 *
 * <p>The modules of a distribution are loaded from the class path. {@code ES_NODE_PARENT} in the
 * environment is a process id, and the node stops when that process ends.
 */
public final class OsNode {
    private static final List<Class<? extends Plugin>> MODULES = List.of(
        CommonAnalysisPlugin.class, IngestCommonPlugin.class, MapperExtrasPlugin.class, Netty4Plugin.class,
        PainlessPlugin.class, ReindexPlugin.class);

    public static void main(String[] args) {
        try {
            run(args);
        } catch (Throwable e) {
            e.printStackTrace();
            System.exit(1); // threads of a half-started node would keep the JVM alive
        }
    }

    private static void run(String[] args) throws Exception {
        Settings.Builder settings = Settings.builder();
        for (int i = 1; i < args.length; i++) {
            int eq = args[i].indexOf('=');
            settings.put(args[i].substring(0, eq), args[i].substring(eq + 1));
        }
        LogConfigurator.registerErrorListener();
        Environment env =
            InternalSettingsPreparer.prepareEnvironment(settings.build(), Map.of(), Path.of(args[0]), () -> "es-node");
        LogConfigurator.setNodeName(Node.NODE_NAME_SETTING.get(env.settings()));
        LogConfigurator.configure(env);

        Node node = new Node(env, MODULES, false) { };
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception e) {
                e.printStackTrace();
            }
        }, "es-node-close"));
        node.start();
        String parent = System.getenv("ES_NODE_PARENT");
        if (parent != null) {
            ProcessHandle.of(Long.parseLong(parent))
                .ifPresentOrElse(p -> p.onExit().thenRun(() -> System.exit(0)), () -> System.exit(0));
        }
        Thread.currentThread().join();
    }
}
