from zato_lite.service.attribute_dict import AttributeDict, with_attributes

Bunch = AttributeDict
bunchify = with_attributes
