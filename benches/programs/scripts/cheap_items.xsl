<?xml version="1.0"?>
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
  <xsl:output method="text"/>
  <xsl:key name="shop" match="item" use="@shop"/>
  <xsl:template match="/catalogue">
    <xsl:for-each select="item[price &lt; 20]">
      <xsl:sort select="price" data-type="number"/>
      <xsl:value-of select="concat(@id, ' ', price, ' ', count(key('shop', @shop)), ' ', title)"/>
      <xsl:text>&#10;</xsl:text>
    </xsl:for-each>
  </xsl:template>
</xsl:stylesheet>
