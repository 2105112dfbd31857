// SPDX-License-Identifier: MIT
#include "tiny_models.hpp"

#include <fstream>

#include <prefer/random/distributions.hpp>

template class prefer::lm::llama<double>;
template class prefer::lm::llama<float>;
template class prefer::lm::llama_base<double>;
template class prefer::lm::llama_base<float>;

namespace prefer::test {

tiny_model::tiny_model(std::string const& name)
    : folder(std::string(PREFER_SOURCE_DIR "/tests/golden/lm_tiny/") + name) {
  std::ifstream(folder + "/golden.json") >> golden;
  for (auto const& row : golden.at("rows")) {
    pairs.add(row.at("prompt").get<token_list>(), row.at("chosen").get<token_list>(),
              row.at("rejected").get<token_list>());
  }
}

lm::llama_config smallest_config() {
  return {.architecture = "llama",
          .vocabulary = 11,
          .width = 8,
          .layers = 2,
          .heads = 4,
          .key_value_heads = 2,
          .head_size = 4,
          .feed_forward = 6,
          .context = 40,
          .norm_epsilon = 1e-5,
          .rope_theta = 100,
          .rope_scaling = {},
          .window = 0,
          .tied_output = true,
          .query_key_value_bias = true,
          .query_key_norm = true};
}

template <class T>
std::shared_ptr<lm::llama_base<T> const> random_base(lm::llama_config const& config,
                                                     std::uint64_t seed) {
  std::uint64_t tensor = 0;
  auto const drawn = [&](std::size_t count, double mean, double spread) {
    std::vector<T> out(count);
    fill_normal(std::span<T>(out),
                {.seed = seed, .purpose = random_purpose::initial_values, .step = tensor++}, mean,
                spread);
    return out;
  };
  std::map<std::string, lm::map_shape> shapes;
  lm::llama_weights<T> names;
  names.layers.resize(config.layers);
  lm::describe_tensors(config, names, [&](std::string const& name, auto shape, auto const&) {
    if constexpr (std::is_same_v<decltype(shape), lm::map_shape>) {
      shapes[name] = shape;
    } else {
      shapes[name] = {shape, 1};
    }
  });
  return std::make_shared<lm::llama_base<T> const>(
      config, seed,
      [&](std::string const& name) {
        auto const [rows, columns] = shapes.at(name);
        return lm::weight_matrix<T>(rows, columns, drawn(rows * columns, 0.0, 0.4));
      },
      [&](std::string const& name) {
        bool const bias = name.ends_with(".bias");
        return drawn(shapes.at(name).out, bias ? 0.0 : 1.0, 0.3);
      });
}
template std::shared_ptr<lm::llama_base<double> const> random_base<double>(lm::llama_config const&,
                                                                           std::uint64_t);
template std::shared_ptr<lm::llama_base<float> const> random_base<float>(lm::llama_config const&,
                                                                         std::uint64_t);

}  // namespace prefer::test
